//! Cases that are measured together, in rounds, and what they are compared with.

use evener_benches::case::Case;

/// How long one case runs in one round.
const TURN_NS: f64 = 1_000_000.0;

/// A line of the table, for one number of endpoints and threads.
pub struct Row {
    /// What is measured.
    pub label: &'static str,
    /// What it is compared with.
    pub unit: &'static str,
    case: &'static str,
}

/// What a row came to.
pub struct Ratio {
    pub label: &'static str,
    pub unit: &'static str,
    /// Median over the rounds of row / unit within the round.
    pub ratio: f64,
    /// Median of the unit, in nanoseconds.
    pub unit_ns: f64,
}

#[derive(Default)]
pub struct Group {
    cases: Vec<Case>,
    rows: Vec<Row>,
}

impl Group {
    /// A case that rows refer to by its name.
    pub fn case(&mut self, case: Case) -> &mut Self {
        self.cases.push(case);
        self
    }

    /// A row: a case compared with a unit, which is a case too.
    pub fn row(&mut self, label: &'static str, unit: &'static str, case: &'static str) -> &mut Self {
        self.rows.push(Row { label, unit, case });
        self
    }

    /// A row and its case, named after it.
    pub fn measured(&mut self, label: &'static str, unit: &'static str, case: Case) -> &mut Self {
        self.case(case.named(label));
        self.row(label, unit, label)
    }

    /// Goes round all cases and compares within each round.
    pub fn measure(self, rounds: usize) -> Vec<Ratio> {
        let times: Vec<u64> = self.cases.iter().map(times_per_turn).collect();
        let mut figures = vec![Vec::with_capacity(rounds); self.cases.len()];
        for _ in 0..rounds {
            for ((case, &times), figures) in self.cases.iter().zip(&times).zip(&mut figures) {
                figures.push(turn(case, times));
            }
        }
        let of = |name: &str| self.cases.iter().position(|case| case.name == name).map(|at| &figures[at]);
        let compare = |row: &Row| {
            let (measured, unit) = (of(row.case)?, of(row.unit)?);
            let ratios = measured.iter().zip(unit).map(|(a, b)| a / b).collect();
            Some(Ratio {
                label: row.label,
                unit: row.unit,
                ratio: median(ratios),
                unit_ns: median(unit.clone()),
            })
        };
        self.rows.iter().filter_map(compare).collect()
    }
}

/// One turn of a case; again if its threads did not run at once, a few times.
fn turn(case: &Case, times: u64) -> f64 {
    let tries = (0..8).map(|_| case.run(times));
    { tries }.find(|figure| !figure.is_nan()).unwrap_or(f64::NAN)
}

/// So many that a turn takes about [`TURN_NS`].
fn times_per_turn(case: &Case) -> u64 {
    let mut times = 1;
    loop {
        let took = case.run(times) * times as f64;
        if took.is_nan() && times < 1 << 24 {
            times += times.min(16);
            continue;
        }
        if took.is_nan() || took > TURN_NS / 4.0 || times > 1 << 24 {
            return ((times as f64 * TURN_NS / took.max(1.0)) as u64).max(1);
        }
        times *= 4;
    }
}

/// Of those that are numbers.
fn median(mut figures: Vec<f64>) -> f64 {
    figures.retain(|figure| !figure.is_nan());
    figures.sort_unstable_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}
