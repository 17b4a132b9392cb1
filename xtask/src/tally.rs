//! Counting test cases from what the runners print.

use std::ops::AddAssign;

/// Test cases seen so far.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Tally {
    pub passed: u32,
    pub failed: u32,
    /// Cases that saw that what they need is not there, and said so.
    pub skipped: u32,
}

impl Tally {
    pub fn is_empty(self) -> bool {
        self == Self::default()
    }

    /// The `test result:` lines of cargo's test harness, to which a case that skipped itself is a passed one.
    pub fn of_cargo(text: &str) -> Self {
        let results = text.lines().filter_map(|line| line.trim().strip_prefix("test result: "));
        let (passed, failed) = results.fold((0, 0), |(passed, failed), line| {
            (passed + before(line, " passed"), failed + before(line, " failed"))
        });
        let skipped = text.matches("SKIPPED: ").count() as u32;
        Self { passed: passed.saturating_sub(skipped), failed, skipped }
    }

    /// ctest's closing lines: `100% tests passed, 0 tests failed out of 12`; since CMake 4 a clean one is `100% tests passed out of 12`.
    /// A case that was skipped is a passed one there, and has a line `2 - name (Skipped)` below.
    pub fn of_ctest(text: &str) -> Self {
        let results =
            text.lines().filter(|line| line.contains("% tests passed") && line.contains(" out of "));
        let (all, failed) = results.fold((0, 0), |(all, failed), line| {
            let failed_here = before(line, " tests failed") + before(line, " test failed");
            let all_here = line.rsplit(' ').next().and_then(|word| word.parse().ok()).unwrap_or(failed_here);
            (all + all_here, failed + failed_here)
        });
        let skipped = text.lines().filter(|line| line.ends_with(" (Skipped)")).count() as u32;
        Self { passed: all.saturating_sub(failed + skipped), failed, skipped }
    }

    /// The line of the runner of vectors in C: `vectors: 96 passed, 1 failed, 0 too large for this memory`.
    pub fn of_vectors(text: &str) -> Self {
        text.lines().filter(|line| line.starts_with("vectors: ")).fold(Self::default(), |sum, line| Self {
            passed: sum.passed + before(line, " passed"),
            failed: sum.failed + before(line, " failed"),
            ..sum
        })
    }

    /// The closing line of the scenarios: `scenarios: 17 passed, 1 failed in 240 s`.
    pub fn of_scenarios(text: &str) -> Self {
        let line = text.lines().find(|line| line.starts_with("scenarios: ")).unwrap_or_default();
        let skipped = text.matches("SKIPPED: ").count() as u32;
        Self { passed: before(line, " passed"), failed: before(line, " failed"), skipped }
    }

    /// pytest's closing line: `3 failed, 12 passed, 1 error in 1.20s`, with or without a frame.
    pub fn of_pytest(text: &str) -> Self {
        let closing = |line: &&str| {
            line.contains(" in ") && [" passed", " failed", " error"].iter().any(|word| line.contains(word))
        };
        let Some(line) = text.lines().rev().find(closing) else {
            return Self::default();
        };
        Self {
            passed: before(line, " passed"),
            failed: before(line, " failed") + before(line, " error"),
            skipped: before(line, " skipped"),
        }
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

/// The number that stands right before `word`, 0 when there is none.
fn before(line: &str, word: &str) -> u32 {
    let Some((front, _)) = line.split_once(word) else {
        return 0;
    };
    let digits = front.rsplit(|c: char| !c.is_ascii_digit()).next().unwrap_or("");
    digits.parse().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(passed: u32, failed: u32) -> Tally {
        Tally { passed, failed, skipped: 0 }
    }

    #[test]
    fn cargo_results_are_added_up() {
        let text = "running 2 tests\ntest result: ok. 2 passed; 0 failed; 0 ignored; 0 measured\n\n\
                    test result: FAILED. 10 passed; 3 failed; 0 ignored\n";
        assert_eq!(Tally::of_cargo(text), tally(12, 3));
    }

    #[test]
    fn a_case_that_skipped_itself_has_not_passed() {
        let text = "test a ... SKIPPED: a: no etcd; cargo xtask servers builds it\nok\n\
                    test result: ok. 2 passed; 0 failed; 0 ignored\n";
        assert_eq!(Tally::of_cargo(text), Tally { passed: 1, failed: 0, skipped: 1 });
        assert_eq!(Tally::of_pytest("== 4 passed, 2 skipped in 1.20s ==").skipped, 2);
    }

    #[test]
    fn ctest_counts_from_its_closing_line() {
        assert_eq!(
            Tally::of_ctest("\n100% tests passed, 0 tests failed out of 12\n\nTotal Test time"),
            tally(12, 0)
        );
        assert_eq!(Tally::of_ctest("100% tests passed out of 70"), tally(70, 0));
        assert_eq!(Tally::of_ctest("99% tests passed, 1 test failed out of 70"), tally(69, 1));
        assert_eq!(Tally::of_ctest("83% tests passed, 2 tests failed out of 12"), tally(10, 2));
        let twice = "100% tests passed, 0 tests failed out of 1\n50% tests passed, 1 tests failed out of 2";
        assert_eq!(Tally::of_ctest(twice), tally(2, 1));
        assert!(Tally::of_ctest("No tests were found!!!").is_empty());
    }

    #[test]
    fn what_ctest_skipped_has_not_passed() {
        let text = "2/4 Test #2: grpc.b ......***Skipped   0.00 sec\n3/4 Test #3: grpc.c ......***Failed    0.01 sec\n\n\n\
                    75% tests passed, 1 tests failed out of 4\n\nTotal Test time (real) =   0.02 sec\n\n\
                    The following tests did not run:\n\t  2 - grpc.b (Skipped)\n\n\
                    The following tests FAILED:\n\t  3 - grpc.c (Failed)\n";
        assert_eq!(Tally::of_ctest(text), Tally { passed: 2, failed: 1, skipped: 1 });
        let none = "100% tests passed, 0 tests failed out of 1\n\nThe following tests did not run:\n\t  1 - b (Skipped)\n";
        assert_eq!(Tally::of_ctest(none), Tally { passed: 0, failed: 0, skipped: 1 });
    }

    #[test]
    fn pytest_counts_errors_as_failures() {
        assert_eq!(Tally::of_pytest("===== 12 passed in 1.20s ====="), tally(12, 0));
        assert_eq!(Tally::of_pytest("3 failed, 12 passed, 1 error in 61.20s (0:01:01)"), tally(12, 4));
        assert_eq!(Tally::of_pytest("2 errors in 0.20s"), tally(0, 2));
        assert!(Tally::of_pytest("no tests ran in 0.01s").is_empty());
    }

    #[test]
    fn scenarios_count_from_their_closing_line() {
        let text = "FAILED  a: b\nscenarios: 24 passed, 1 failed in 171 s\n";
        assert_eq!(Tally::of_scenarios(text), tally(24, 1));
        let text = "SKIPPED: a test: no etcd\nscenarios: 7 passed, 0 failed in 90 s\n";
        assert_eq!(Tally::of_scenarios(text), Tally { skipped: 1, ..tally(7, 0) });
    }

    #[test]
    fn vectors_count_one_by_one() {
        assert_eq!(
            Tally::of_vectors("vectors: 96 passed, 1 failed, 0 too large for this memory\n"),
            tally(96, 1)
        );
    }
}
