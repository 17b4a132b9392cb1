//! Every file of `testdata/service_configs`.

use std::fs;
use std::path::PathBuf;

use evener_channel::config::ServiceConfig;

#[test]
fn files_are_read_as_expected() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../testdata/service_configs");
    let expected = fs::read_to_string(folder.join("expected.txt")).unwrap();
    let lines: Vec<&str> =
        expected.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect();

    for line in &lines {
        let columns: Vec<&str> = line.split('|').map(str::trim).collect();
        let [file, result, detail] = columns[..] else { panic!("not three columns: {line}") };
        check(file, &fs::read_to_string(folder.join(file)).unwrap(), result, detail);
    }
    let files = fs::read_dir(&folder).unwrap().filter(|entry| {
        entry.as_ref().unwrap().path().extension().is_some_and(|extension| extension == "json")
    });
    assert_eq!(files.count(), lines.len(), "a file is missing in expected.txt");
}

fn check(file: &str, json: &str, result: &str, detail: &str) {
    match (result.strip_prefix("error "), ServiceConfig::parse(json)) {
        (None, Ok(parsed)) => {
            let paths: Vec<&str> = parsed.warnings.iter().map(|warning| warning.path.as_str()).collect();
            assert_eq!(parsed.config.policy_name(), result, "{file}");
            assert_eq!(paths.join(" "), detail.trim_matches('-'), "{file}");
        }
        (Some(path), Err(error)) => {
            assert_eq!(error.path, path, "{file}");
            assert!(error.reason.contains(detail), "{file}: {error}");
        }
        (_, other) => panic!("{file}: {other:?}"),
    }
}
