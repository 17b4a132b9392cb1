//! Measures everything in interleaved rounds and writes one table of ratios as Markdown. See `benches/README.md`.
//!
//! ```text
//! ratios [--rounds N] [--cpp PROGRAM] [--python PROGRAM SCRIPT] [--output FILE]
//! ```
//!
//! Without `--cpp` and `--python` their rows are left out; without `--output` the table goes to standard output.

#![forbid(unsafe_code)]

mod group;
mod picks;
mod table;
mod updates;

use evener_benches::worker::Worker;
use std::cell::RefCell;
use std::env;
use std::error::Error;
use std::fs;
use std::process::Command;
use std::rc::Rc;
use table::Table;

/// Set sizes, one column each.
const SIZES: [u32; 4] = [3, 64, 1024, 10_000];

/// The programs that measure other languages' cases, where they were given.
#[derive(Default)]
struct Others {
    cpp: Option<Rc<RefCell<Worker>>>,
    python: Option<Rc<RefCell<Worker>>>,
}

struct Arguments {
    rounds: usize,
    output: Option<String>,
    others: Others,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse(env::args().skip(1))?;
    let mut table = Table::default();
    for threads in [1, 2] {
        for n in SIZES {
            eprintln!("picks: {n} endpoints, {threads} thread(s)");
            table.take(n, threads, picks::group(n, threads, &arguments.others).measure(arguments.rounds));
        }
    }
    for n in SIZES {
        eprintln!("updates: {n} endpoints");
        table.take(n, 1, updates::group(n).measure(arguments.rounds.div_ceil(2)));
    }
    let text = table.to_markdown();
    match arguments.output {
        Some(file) => fs::write(file, text)?,
        None => println!("{text}"),
    }
    Ok(())
}

impl Arguments {
    fn parse(mut given: impl Iterator<Item = String>) -> Result<Self, Box<dyn Error>> {
        let mut arguments = Self { rounds: 101, output: None, others: Others::default() };
        while let Some(name) = given.next() {
            let mut value = || given.next().ok_or_else(|| format!("{name} needs a value"));
            match name.as_str() {
                "--rounds" => arguments.rounds = value()?.parse::<usize>()?.max(1),
                "--output" => arguments.output = Some(value()?),
                "--cpp" => arguments.others.cpp = Some(Worker::start(Command::new(value()?))?),
                "--python" => {
                    let mut command = Command::new(value()?);
                    command.arg(value()?);
                    arguments.others.python = Some(Worker::start(command)?);
                }
                _ => return Err(format!("unknown argument {name}").into()),
            }
        }
        Ok(arguments)
    }
}
