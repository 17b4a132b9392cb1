//! The code in README.md is the code of the examples, which other steps build and run; its figures are those that were measured.

use crate::step::Step;
use crate::tally::Tally;
use crate::workspace::Workspace;
use std::fs;

pub const STEP: Step = Step {
    name: "readme",
    what: "README.md quotes, word for word, the examples and the measured figures",
    needs: Vec::new,
    run: check,
};

/// Where `cargo xtask bench` writes.
pub const RESULTS: &str = "benches/RESULTS.md";
/// Where `cargo xtask latency` writes.
pub const LATENCY: &str = "benches/LATENCY.md";

/// The files of figures that the README quotes.
const FIGURES: &[&str] = &[RESULTS, LATENCY];

/// The files whose marked part the README must quote: `<!-- FILE -->`, then a fence.
const QUOTED: [&str; 4] = [
    "examples/quickstart/quickstart.py",
    "examples/quickstart/quickstart.cc",
    "examples/quickstart/quickstart.rs",
    "examples/quickstart/quickstart.c",
];

fn check(workspace: &Workspace, tally: &mut Tally) -> Result<(), String> {
    let read =
        |name: &str| fs::read_to_string(workspace.file(name)).map_err(|error| format!("{name}: {error}"));
    let readme = read("README.md")?;
    let mut wrong = Vec::new();
    for name in QUOTED {
        if quoted(&readme, name).is_some() && quoted(&readme, name) == marked(&read(name)?) {
            tally.passed += 1;
        } else {
            tally.failed += 1;
            wrong.push(format!("README.md does not quote the marked part of {name} after <!-- {name} -->"));
        }
    }
    for name in FIGURES {
        let figures = read(name)?;
        if between(&readme, name).is_some_and(|(_, quoted, _)| quoted.trim() == figures.trim()) {
            tally.passed += 1;
        } else {
            tally.failed += 1;
            wrong.push(format!("README.md does not quote {name}"));
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n")) }
}

/// Writes the measured figures of this file into README.md, where it quotes them.
pub fn quote_figures(workspace: &Workspace, file: &str) -> Result<(), String> {
    let read =
        |name: &str| fs::read_to_string(workspace.file(name)).map_err(|error| format!("{name}: {error}"));
    let (readme, figures) = (read("README.md")?, read(file)?);
    let (before, _, after) =
        between(&readme, file).ok_or_else(|| format!("README.md has no place for {file}"))?;
    let text = format!("{before}\n{}\n{after}", figures.trim());
    fs::write(workspace.file("README.md"), text).map_err(|error| format!("README.md: {error}"))
}

/// What stands before, between and after the two comments around a file's figures; the comments belong to the outer parts.
fn between<'a>(readme: &'a str, file: &str) -> Option<(&'a str, &'a str, &'a str)> {
    let comment = format!("<!-- {file} -->");
    let begin = readme.find(&comment)? + comment.len();
    let end = readme.find(&format!("<!-- end of {file} -->"))?;
    Some((readme.get(..begin)?, readme.get(begin..end)?, readme.get(end..)?))
}

/// The lines of the fence that follows the comment naming `file`.
fn quoted(readme: &str, file: &str) -> Option<String> {
    let (_, rest) = readme.split_once(&format!("<!-- {file} -->\n"))?;
    let body = rest.strip_prefix("```")?.split_once('\n')?.1;
    body.split_once("\n```").map(|(code, _)| code.to_string())
}

/// The lines between the two marks.
fn marked(source: &str) -> Option<String> {
    let lines = source.lines().skip_while(|line| !line.contains("readme: begin")).skip(1);
    let lines: Vec<&str> = lines.take_while(|line| !line.contains("readme: end")).collect();
    (!lines.is_empty()).then(|| lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_figures_stand_between_two_comments() {
        let readme = "a <!-- benches/RESULTS.md -->\nb\n<!-- end of benches/RESULTS.md --> c";
        let (before, quoted, after) = between(readme, RESULTS).unwrap();
        assert_eq!((quoted.trim(), format!("{before}{quoted}{after}").as_str()), ("b", readme));
        assert_eq!(between(readme, LATENCY), None);
    }

    #[test]
    fn what_is_quoted_and_what_is_marked_are_compared() {
        let readme = "Text\n<!-- a.py -->\n```python\none\ntwo\n```\nmore";
        assert_eq!(quoted(readme, "a.py"), Some("one\ntwo".to_string()));
        assert_eq!(quoted(readme, "b.py"), None);
        assert_eq!(marked("x\n# readme: begin\none\ntwo\n# readme: end\ny"), Some("one\ntwo".to_string()));
        assert_eq!(marked("no marks"), None);
    }
}
