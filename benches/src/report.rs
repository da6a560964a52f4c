//! What was measured, and the table of it.

use crate::load::Round;
use crate::queries::Query;
use crate::spelling::Spelling;
use crate::stage::{Stage, Usage};

/// Stands where there is no number.
const NONE: &str = "–";

/// The rounds of one query with one server.
#[derive(Debug, Default)]
pub(crate) struct Measured {
    per_second: Vec<f64>,
    p50: Vec<f64>,
    p99: Vec<f64>,
    /// The median latency with one connection.
    alone: Vec<f64>,
    statements: Vec<f64>,
    server: Vec<f64>,
    postgres: Vec<f64>,
}

impl Measured {
    pub(crate) fn add(&mut self, round: &Round, before: Usage, after: Usage) {
        let requests = round.requests();
        self.per_second.push(round.per_second());
        self.p50.push(round.percentile(0.5));
        self.p99.push(round.percentile(0.99));
        if let (Some(before), Some(after)) = (before.statements, after.statements) {
            self.statements.push((after - before) as f64 / requests);
        }
        self.server.push((after.server - before.server).as_secs_f64() * 1e6 / requests);
        if let (Some(before), Some(after)) = (before.postgres, after.postgres) {
            self.postgres.push(after.saturating_sub(before).as_secs_f64() * 1e6 / requests);
        }
    }

    pub(crate) fn add_alone(&mut self, round: &Round) {
        self.alone.push(round.percentile(0.5));
    }

    /// Throughput, and processor time of server and PostgreSQL, as ratios to another's.
    pub(crate) fn ratios(&self, other: &Self) -> (String, String) {
        let cpu = |measured: &Self| Some(median(&measured.server)? + median(&measured.postgres)?);
        let ratio = |of: Option<f64>, to: Option<f64>| {
            of.zip(to).map_or_else(|| NONE.to_owned(), |(of, to)| format!("{:.2}", of / to))
        };
        (ratio(median(&self.per_second), median(&other.per_second)), ratio(cpu(self), cpu(other)))
    }

    pub(crate) fn cells(&self) -> String {
        format!(
            "{:>9} | {:>8} | {:>8} | {:>10} | {:>6} | {:>9} | {:>13}",
            number(&self.per_second, 0),
            number(&self.p50, 2),
            number(&self.p99, 2),
            number(&self.alone, 3),
            number(&self.statements, 2),
            number(&self.server, 0),
            number(&self.postgres, 0),
        )
    }
}

/// What `Measured::cells` fills.
pub(crate) const HEAD: &str = "\n\
    | query | server | requests/s | p50 ms | p99 ms | p50 ms, 1 conn. | SQL | server µs | PostgreSQL µs | ratio | CPU ratio |\n\
    | ----- | ------ | ---------: | -----: | -----: | --------------: | --: | --------: | ------------: | ----: | --------: |\n";

/// One query.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) query: Query,
    pub(crate) spelling: Spelling,
    pub(crate) floor: Option<Measured>,
    pub(crate) waymark: Measured,
}

impl Row {
    /// In short, while the others are still being measured.
    pub(crate) fn line(&self) -> String {
        let name = self.spelling.name();
        let waymark =
            format!("{} {name}: Waymark {} requests/s", self.query.name(), number(&self.waymark.per_second, 0));
        match &self.floor {
            Some(floor) => format!("{waymark}, floor {}, ratio {}", number(&floor.per_second, 0), self.ratios().0),
            None => waymark,
        }
    }

    fn ratios(&self) -> (String, String) {
        self.floor.as_ref().map_or_else(|| (NONE.to_owned(), NONE.to_owned()), |floor| self.waymark.ratios(floor))
    }
}

/// Everything that was measured.
#[derive(Debug, Default)]
pub(crate) struct Report {
    rows: Vec<Row>,
}

impl Report {
    pub(crate) fn add(&mut self, row: Row) {
        self.rows.push(row);
    }

    pub(crate) fn table(&self, stage: &Stage) -> String {
        let mut text = HEAD.to_owned();
        for row in &self.rows {
            let name = row.query.name();
            if let Some(floor) = &row.floor {
                text.push_str(&format!("| {name} | floor | {} | | |\n", floor.cells()));
            }
            let (spelling, (ratio, cpu)) = (row.spelling.name(), row.ratios());
            text.push_str(&format!("| {name} | Waymark, {spelling} | {} | {ratio} | {cpu} |\n", row.waymark.cells()));
        }
        text.push_str("\nSQL: statements per request. µs: processor time per request.\nPeak memory: ");
        let servers = [("Waymark", Some(&stage.waymark)), ("floor", stage.floor.as_ref())];
        let memory = servers.into_iter().filter_map(|(name, server)| {
            let (peak, own) = (server?.peak_memory()?, server?.own_memory()?);
            Some(format!("{name} {peak:.0} MiB ({own:.0} MiB without mapped files, at the end)"))
        });
        text.push_str(&memory.collect::<Vec<_>>().join(", "));
        text
    }
}

pub(crate) fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    if sorted.len().is_multiple_of(2) {
        Some((sorted.get(middle.wrapping_sub(1))? + sorted.get(middle)?) / 2.0)
    } else {
        sorted.get(middle).copied()
    }
}

fn number(values: &[f64], decimals: usize) -> String {
    median(values).map_or_else(|| NONE.to_owned(), |value| format!("{value:.decimals$}"))
}
