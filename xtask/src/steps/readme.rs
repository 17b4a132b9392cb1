//! The code in README.md is the code of the examples, which other steps build and run.

use crate::suite::Step;
use crate::tally::Tally;
use crate::workspace::Workspace;
use std::fs;

pub const STEP: Step = Step {
    name: "readme",
    what: "every piece of code in README.md is, word for word, that of the example it names",
    needs: Vec::new,
    run: check,
};

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
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n")) }
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
    fn what_is_quoted_and_what_is_marked_are_compared() {
        let readme = "Text\n<!-- a.py -->\n```python\none\ntwo\n```\nmore";
        assert_eq!(quoted(readme, "a.py"), Some("one\ntwo".to_string()));
        assert_eq!(quoted(readme, "b.py"), None);
        assert_eq!(marked("x\n# readme: begin\none\ntwo\n# readme: end\ny"), Some("one\ntwo".to_string()));
        assert_eq!(marked("no marks"), None);
    }
}
