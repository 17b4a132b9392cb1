//! The closing table, and whether the show was what it promises to be.

use super::board::{Board, Client, Row};
use super::report::Failure;

/// From the SIGKILL to when the end of the connection has reached every client: a call begun in between was sent to a server
/// nobody could know to be gone.
const NEWS_TRAVELS_US: u64 = 100_000;
const UNAVAILABLE: u64 = 14;
/// In per cent. Round robin itself is exact; what remains is calls on their way when a phase begins and ends.
const LARGEST_ERROR: f64 = 5.0;

/// Prints the summary; an error when a call failed without having been in flight at the SIGKILL, or the spread was uneven.
pub fn judge(board: &Board) -> Result<(), String> {
    println!("\n=== summary");
    let mut faults = Vec::new();
    for client in &board.clients {
        print_client(board, client, &mut faults);
    }
    if faults.is_empty() { Ok(()) } else { Err(faults.join("\n")) }
}

fn print_client(board: &Board, client: &Client, faults: &mut Vec<String>) {
    let (in_flight, other): (Vec<&Failure>, Vec<&Failure>) =
        client.failures.iter().partition(|failure| was_in_flight(failure, board.killed_at_us));
    println!(
        "{} client: {} calls made, {} failed ({} of them in flight at the SIGKILL)",
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

/// In per cent of the ideal.
fn error(row: &Row) -> f64 {
    let off = row.judged as f64 - row.ideal;
    if off == 0.0 { 0.0 } else { 100.0 * off / row.ideal.max(1.0) }
}

fn was_in_flight(failure: &Failure, killed_at_us: Option<u64>) -> bool {
    killed_at_us.is_some_and(|killed| {
        failure.code == UNAVAILABLE
            && failure.started_us <= killed + NEWS_TRAVELS_US
            && failure.ended_us >= killed
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(code: u64, started_us: u64, ended_us: u64) -> Failure {
        Failure { code, message: String::new(), started_us, ended_us }
    }

    #[test]
    fn only_what_was_on_its_way_at_the_kill_is_excused() {
        let killed = Some(1_000_000);
        assert!(was_in_flight(&failure(14, 999_000, 1_001_000), killed));
        assert!(!was_in_flight(&failure(14, 990_000, 999_999), killed));
        assert!(!was_in_flight(&failure(14, 1_200_000, 1_300_000), killed));
        assert!(!was_in_flight(&failure(4, 999_000, 1_001_000), killed));
        assert!(!was_in_flight(&failure(14, 999_000, 1_001_000), None));
    }

    #[test]
    fn a_failure_without_an_excuse_fails_the_demo() {
        let mut board = Board::new();
        board.clients[0].failures.push(failure(14, 1, 2));
        assert!(judge(&board).is_err());
    }
}
