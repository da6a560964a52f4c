//! Running a server, and stopping it in good order.

use std::future::IntoFuture as _;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::net::TcpListener;

use super::listener::Patient;
use super::peer::Peer;
use crate::app::App;
use crate::error::{Error, Result};

/// Serves `router` on `listener` until the process is told to stop, and then as [`serve`] says.
///
/// # Errors
/// When the listener fails.
pub async fn run(listener: TcpListener, app: Arc<App>, router: Router) -> Result<()> {
    serve(listener, app, router, signalled()).await
}

/// Serves `router` on `listener` until `told` has come to its end, or `app` is told to stop. Then nothing new is taken in, running
/// requests end, and so do connections that stay open; what has not ended after [`shutdown_seconds`], or when the process
/// is told once more, is given up.
///
/// [`shutdown_seconds`]: crate::config::Config::shutdown_seconds
///
/// # Errors
/// When the listener fails.
pub async fn serve(
    listener: TcpListener,
    app: Arc<App>,
    router: Router,
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
    // A subscriber who does not read is told so first, see `websocket`; that takes as long again at the most.
    let patience = Duration::from_secs(2 * app.config.limits.slow_reader_seconds);
    let listener = Patient { listener, patience, stopping: app.stopping.subscribe() };
    let serving = async {
        let serve = axum::serve(listener, router.into_make_service_with_connect_info::<Peer>())
            .with_graceful_shutdown(told)
            .into_future();
        serve.await.map_err(Error::internal)?;
        // Sockets live beyond their request; each holds a receiver until it is closed.
        app.stopping.closed().await;
        Ok(())
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
        ended = serving => ended,
        () = given_up => {
            tracing::warn!("stopped before all requests had ended");
            Ok(())
        }
    }
}

/// Waits for Ctrl-C or SIGTERM.
async fn signalled() {
    let interrupted = async {
        if let Err(error) = tokio::signal::ctrl_c().await {
            tracing::warn!(%error, "Ctrl-C cannot be heard");
            std::future::pending::<()>().await;
        }
    };
    #[cfg(unix)]
    let terminated = async {
        match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(mut signal) => drop(signal.recv().await),
            Err(error) => {
                tracing::warn!(%error, "SIGTERM cannot be heard");
                std::future::pending::<()>().await;
            }
        }
    };
    #[cfg(not(unix))]
    let terminated = std::future::pending::<()>();
    tokio::select! {
        () = interrupted => {}
        () = terminated => {}
    }
}
