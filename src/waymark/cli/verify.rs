//! `waymark verify` and `waymark repair`.

use std::sync::Arc;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::{check_clock, open, open_to_read, print, say};
use waymark_auth::policy::Operator;
use waymark_db::Db;
use waymark_kernel::clock::Ids;
use waymark_kernel::config::Config;
use waymark_kernel::error::{Code, Error, Result};
use waymark_server::app::App;
use waymark_verify::{Report, Step, Whose};
use waymark_write::Order;

/// Prints every difference.
pub(super) async fn verify(config: Config) -> Result<()> {
    check_clock(&config)?;
    let db = open_to_read(&config).await?;
    let app = app(config, db).await?;
    let mut lines = Lines::new();
    let report = app.verifier.verify(Whose::All, app.clock.now(), &mut |step| lines.show(step)).await;
    lines.end()?;
    let report = report?;
    tell_acknowledged(&report);
    match report.found() {
        0 if report.acknowledged > 0 => {
            say(&format!("{} users: everything else follows from its source.", report.users))
        }
        0 => say(&format!("{} users: everything follows from its source.", report.users)),
        1 => return Err(Error::new(Code::BadUserInput, "1 difference was found")),
        found => return Err(Error::new(Code::BadUserInput, format!("{found} differences were found"))),
    }
    app.db.clone().close().await
}

/// Mends every difference that can be mended, and prints the others.
/// With a reason, acknowledges the others.
pub(super) async fn repair(config: Config, acknowledge: Option<String>) -> Result<()> {
    check_clock(&config)?;
    let db = open(&config).await?;
    let app = app(config, db).await?;
    let operator = Operator::at_the_command_line();
    let name = "operator".to_owned();
    let order =
        Order { now: app.clock.now(), actor: name.clone(), principal: name, vouches: false, key: None, mark: None };
    let mut lines = Lines::new();
    let mut show = |step: &Step| lines.show(step);
    let report = match acknowledge {
        None => app.verifier.repair(operator, Whose::All, &order, &mut show).await,
        Some(reason) => app.verifier.acknowledge(operator, Whose::All, &order, reason, &mut show).await,
    };
    lines.end()?;
    let report = report?;
    for count in report.counts.iter().filter(|count| count.mended > 0) {
        say(&format!("{}: {} mended", count.check, count.mended));
    }
    tell_acknowledged(&report);
    match report.found() - report.mended() {
        0 if report.mended() == 0 => say("There was nothing to mend."),
        0 => say("All differences are mended."),
        1 => return Err(Error::new(Code::BadUserInput, "1 difference cannot be mended")),
        left => return Err(Error::new(Code::BadUserInput, format!("{left} differences cannot be mended"))),
    }
    app.db.clone().close().await
}

fn tell_acknowledged(report: &Report) {
    match report.acknowledged {
        0 => {}
        1 => say("1 difference is acknowledged."),
        count => say(&format!("{count} differences are acknowledged.")),
    }
}

/// The configured database as a server would have it.
async fn app(config: Config, db: Db) -> Result<Arc<App>> {
    App::new(config, db, Ids::system()).await
}

/// What is printed while a pass goes on: the differences on stdout, how far it is on stderr.
struct Lines {
    bar: ProgressBar,
    printed: Result<()>,
}

impl Lines {
    fn new() -> Self {
        let bar = ProgressBar::new(0);
        if let Ok(style) = ProgressStyle::with_template("{bar:40} {pos}/{len} users, {eta} left") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(200));
        Self { bar, printed: Ok(()) }
    }

    fn show(&mut self, step: &Step) {
        self.bar.set_length(step.total);
        self.bar.set_position(step.done);
        self.bar.suspend(|| {
            let acknowledged = step.acknowledged.iter().map(|difference| format!("acknowledged: {difference}"));
            for line in step.differences.iter().map(ToString::to_string).chain(acknowledged) {
                self.printed = self.printed.clone().and_then(|()| print(&line));
            }
        });
    }

    fn end(self) -> Result<()> {
        self.bar.finish_and_clear();
        self.printed
    }
}
