//! Cases in other languages: a program that measures on request, so that its rounds are interleaved with everyone else's.
//!
//! The program reads lines `NAME TIMES` and answers each with a line: nanoseconds for one.

use crate::case::Case;
use std::cell::RefCell;
use std::io::{self, BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::rc::Rc;

/// A running program.
pub struct Worker {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Worker {
    /// Starts it.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn start(mut command: Command) -> io::Result<Rc<RefCell<Self>>> {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let missing = || io::Error::other("no pipe to the program");
        let input = child.stdin.take().ok_or_else(missing)?;
        let output = BufReader::new(child.stdout.take().ok_or_else(missing)?);
        Ok(Rc::new(RefCell::new(Self { child, input, output })))
    }

    /// The case of this name in the program. A program that stops answering makes its figures not a number.
    pub fn case(worker: &Rc<RefCell<Self>>, name: &str) -> Case {
        let (worker, asked) = (Rc::clone(worker), name.to_string());
        Case::timed(name, move |times| worker.borrow_mut().ask(&asked, times).unwrap_or(f64::NAN))
    }

    fn ask(&mut self, name: &str, times: u64) -> io::Result<f64> {
        writeln!(self.input, "{name} {times}")?;
        self.input.flush()?;
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        line.trim().parse().map_err(|_| io::Error::other(format!("not a number: {line:?}")))
    }
}

impl Drop for Worker {
    /// Ends the program.
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
