//! The closing table, and whether the show was what it promises to be.

use super::board::{Board, Client, Row};
use super::outage::Outage;
use super::report::Failure;
use super::script::OUTAGE;
use std::ops::RangeInclusive;

/// From the end of a killed process to when the end of the connection has reached every client: a call begun in between was sent to a server
/// nobody could know to be gone.
const NEWS_TRAVELS_US: u64 = 100_000;
const UNAVAILABLE: u64 = 14;
/// In per cent. Round robin itself is exact; what remains is calls on their way when a phase begins and ends.
const LARGEST_ERROR: f64 = 5.0;
/// In seconds: how much younger than the outage is long a list may look, seen from time to time only.
const GLANCE: f64 = 1.0;

/// Prints the summary; an error when a call failed without having been in flight at the backend's SIGKILL, the spread was uneven, or the
/// registry's absence was felt.
pub fn judge(board: &Board) -> Result<(), String> {
    println!("\n=== summary");
    let mut faults = Vec::new();
    for client in &board.clients {
        print_client(board, client, &mut faults);
    }
    print_outages(board, &mut faults);
    if faults.is_empty() { Ok(()) } else { Err(faults.join("\n")) }
}

fn print_client(board: &Board, client: &Client, faults: &mut Vec<String>) {
    let (in_flight, other): (Vec<&Failure>, Vec<&Failure>) =
        client.failures.iter().partition(|failure| was_in_flight(failure, board.death_us.as_ref()));
    println!(
        "{} client: {} calls made, {} failed ({} of them in flight at the backend's SIGKILL)",
        client.language.name(),
        client.calls() + client.failures.len() as u64,
        client.failures.len(),
        in_flight.len()
    );
    println!("  backend          calls    ideal   error     (calls of the settled phases)");
    for (backend, row) in board.backends.iter().zip(&client.rows) {
        println!("  {:13} {:8} {:8.1} {:+6.2} %", backend.name, row.judged, row.ideal, error(row));
    }
    let worst = client.rows.iter().map(|row| error(row).abs()).fold(0.0, f64::max);
    println!("  largest error {worst:.2} %\n");
    if client.calls() == 0 {
        faults.push(format!("the {} client made no call", client.language.name()));
    }
    if worst > LARGEST_ERROR {
        faults.push(format!("the {} client's spread is {worst:.2} % off", client.language.name()));
    }
    for failure in other {
        faults.push(format!("a call of the {} client failed: {failure:?}", client.language.name()));
    }
}

fn print_outages(board: &Board, faults: &mut Vec<String>) {
    let Some(away) = board.away else {
        return faults.push("the registry was never away".to_string());
    };
    println!(
        "registry: etcd was killed with SIGKILL and away for {:.1} s (a list's age counts from etcd's last word)",
        away.as_secs_f64()
    );
    for client in &board.clients {
        let Some(outage) = &client.outage else {
            continue;
        };
        let name = client.language.name();
        print_outage(name, outage);
        faults.extend(felt(outage).map(|what| format!("the {name} client without its registry: {what}")));
    }
}

fn print_outage(name: &str, outage: &Outage) {
    let (made, listed) = (outage.answered + outage.failed, outage.listed());
    println!(
        "  {name} client: {made} calls meanwhile, {} failed; its list kept {} of {listed} backends, {:.1} s old at most",
        outage.failed,
        listed - outage.missed,
        outage.oldest
    );
}

/// How a client felt that its registry was away, or why this shows nothing.
fn felt(outage: &Outage) -> Option<String> {
    if outage.failed > 0 {
        return Some(format!("{} calls failed", outage.failed));
    }
    if outage.missed > 0 || outage.listed() == 0 {
        return Some(format!("{} of {} backends left its list", outage.missed, outage.listed()));
    }
    if outage.answered == 0 || outage.oldest < OUTAGE.as_secs_f64() - GLANCE {
        return Some(format!("it made {} calls, its list was {:.1} s old", outage.answered, outage.oldest));
    }
    None
}

/// In per cent of the ideal.
fn error(row: &Row) -> f64 {
    let off = row.judged as f64 - row.ideal;
    if off == 0.0 { 0.0 } else { 100.0 * off / row.ideal.max(1.0) }
}

fn was_in_flight(failure: &Failure, death_us: Option<&RangeInclusive<u64>>) -> bool {
    death_us.is_some_and(|death| {
        failure.code == UNAVAILABLE
            && failure.started_us <= death.end() + NEWS_TRAVELS_US
            && failure.ended_us >= *death.start()
    })
}

#[cfg(test)]
mod tests {
    use super::super::board::Backend;
    use super::super::report::Report;
    use super::*;
    use crate::programs::Language;
    use std::time::Duration;

    fn failure(code: u64, started_us: u64, ended_us: u64) -> Failure {
        Failure { code, message: String::new(), started_us, ended_us }
    }

    #[test]
    fn only_what_was_on_its_way_at_the_kill_is_excused() {
        let death = 1_000_000..=1_050_000;
        let killed = Some(&death);
        assert!(was_in_flight(&failure(14, 999_000, 1_001_000), killed));
        assert!(!was_in_flight(&failure(14, 990_000, 999_999), killed));
        assert!(was_in_flight(&failure(14, 1_149_000, 1_300_000), killed));
        assert!(!was_in_flight(&failure(14, 1_151_000, 1_300_000), killed));
        assert!(!was_in_flight(&failure(4, 999_000, 1_001_000), killed));
        assert!(!was_in_flight(&failure(14, 999_000, 1_001_000), None));
    }

    fn report(age: f64) -> Report {
        let endpoints = r#"[{"addresses":["127.0.0.1:1"],"state":"READY","weight":1}]"#;
        let channel = format!(
            r#"{{"endpoints":{endpoints},"resolution":{{"freshness":"stale","age_seconds":{age}}}}}"#
        );
        Report::parse(&format!(r#"{{"latencies_us":{{"a":[1]}},"channel":{channel}}}"#)).unwrap()
    }

    /// A show with one backend whose registry was away; the clients' lists grew so old.
    fn board(age: f64) -> Board {
        let mut board = Board::new();
        let (name, address) = ("a".to_string(), "127.0.0.1:1".to_string());
        board.add_backend(Backend { name, language: Language::Cpp, delay_ms: 1, address });
        for client in 0..2 {
            board.take(client, report(0.0));
        }
        board.begin_outage();
        for client in 0..2 {
            board.take(client, report(age));
        }
        board.end_outage(Duration::from_secs(6));
        board
    }

    #[test]
    fn a_failure_without_an_excuse_fails_the_demo() {
        let mut board = board(5.5);
        assert_eq!(judge(&board), Ok(()));
        board.clients[0].failures.push(failure(14, 1, 2));
        assert!(judge(&board).is_err());
    }

    #[test]
    fn an_outage_that_a_client_felt_fails_the_demo() {
        let mut failed = board(5.5);
        failed.clients[1].outage.as_mut().unwrap().failed = 1;
        assert!(judge(&failed).unwrap_err().contains("C++ client without its registry: 1 calls failed"));
        let mut lost = board(5.5);
        lost.take(0, Report::parse("{}").unwrap());
        assert!(judge(&lost).unwrap_err().contains("1 of 1 backends left its list"));
    }

    #[test]
    fn an_outage_that_no_client_saw_shows_nothing() {
        assert!(judge(&board(0.5)).unwrap_err().contains("its list was 0.5 s old"));
        assert!(judge(&Board::new()).unwrap_err().contains("the registry was never away"));
    }
}
