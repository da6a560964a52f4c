//! Running a server, and stopping it in good order.

use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;

use super::Server;
use super::listener::Door;
use crate::app::App;
use waymark_kernel::error::Result;

/// Runs `server` on `listener` until the process gets a signal to stop, and then ends as [`serve`] says.
///
/// # Errors
/// Never; a listener that fails is tried again.
pub async fn run(listener: TcpListener, app: Arc<App>, server: Server) -> Result<()> {
    serve(listener, app, server, signalled()).await
}

/// Runs `server` on `listener` until `told` has completed, or `app` is stopped. Then no new connection is accepted,
/// running requests end, and so do connections that stay open; what has not ended after [`shutdown_seconds`], or at a
/// second signal, is dropped.
///
/// [`shutdown_seconds`]: waymark_kernel::config::Config::shutdown_seconds
///
/// # Errors
/// Never; a listener that fails is tried again.
pub async fn serve(
    listener: TcpListener,
    app: Arc<App>,
    server: Server,
    told: impl Future<Output = ()> + Send + 'static,
) -> Result<()> {
    let told = {
        let app = Arc::clone(&app);
        async move {
            tokio::select! {
                () = told => {}
                () = app.stopped() => {}
            }
            tracing::info!("stopping; running requests may end");
            app.stop();
        }
    };
    // A subscriber that does not read gets a close frame first, see `websocket`; that takes at most as long again.
    let patience = Duration::from_secs(2 * app.config.limits.slow_reader_seconds);
    app.room.warn();
    let door = Door { listener, server, lines: Arc::clone(&app.lines), patience, stopping: app.stopping.subscribe() };
    let serving = async {
        tokio::join!(told, door.keep_open());
        // Every connection holds a receiver until its last request is answered or its socket is closed.
        app.stopping.closed().await;
    };
    let longest = Duration::from_secs(app.config.shutdown_seconds);
    let given_up = async {
        app.stopped().await;
        tokio::select! {
            () = tokio::time::sleep(longest) => {}
            () = signalled() => {}
        }
    };
    tokio::select! {
        () = serving => {}
        () = app.lines.look_after() => {}
        () = given_up => tracing::warn!("stopped before all requests had ended"),
    }
    Ok(())
}

/// SIGXFSZ, on Linux, macOS and the BSDs.
#[cfg(unix)]
const FILE_TOO_LONG: std::ffi::c_int = 25;

/// Hears Ctrl-C and SIGTERM from when it is called on, and ends with the first of them. Must be called inside a Tokio
/// runtime.
pub fn signalled() -> impl Future<Output = ()> + Send + 'static {
    #[cfg(unix)]
    let (mut interrupt, mut terminate) = {
        use tokio::signal::unix::{SignalKind, signal};
        let hear = |kind, name| signal(kind).inspect_err(|error| tracing::warn!(%error, "{name} cannot be heard")).ok();
        // A file that may grow no longer is then a write that fails, as on a full disk, and not the end of the process.
        hear(SignalKind::from_raw(FILE_TOO_LONG), "SIGXFSZ");
        (hear(SignalKind::interrupt(), "Ctrl-C"), hear(SignalKind::terminate(), "SIGTERM"))
    };
    async move {
        #[cfg(unix)]
        {
            async fn heard(signal: &mut Option<tokio::signal::unix::Signal>) {
                match signal {
                    Some(signal) => drop(signal.recv().await),
                    None => std::future::pending().await,
                }
            }
            tokio::select! {
                () = heard(&mut interrupt) => {}
                () = heard(&mut terminate) => {}
            }
        }
        #[cfg(not(unix))]
        if let Err(error) = tokio::signal::ctrl_c().await {
            tracing::warn!(%error, "Ctrl-C cannot be heard");
            std::future::pending::<()>().await;
        }
    }
}
