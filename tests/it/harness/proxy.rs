//! A network between the server and its database that fails as networks do.
//!
//! A small TCP proxy in a runtime of its own. What it does to connections that are open, and to those that come, is told
//! apart: a firewall that has forgotten its connections still lets new ones through.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::watch;

/// How long an end of a silent connection stays open whose other end was closed.
const FORGOTTEN: Duration = Duration::from_secs(20);

/// How a connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    /// Both ends are told that it is over.
    Fin,
    /// Both ends are told that it never was.
    Reset,
}

/// What comes through a connection that stays open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// Everything.
    Open,
    /// Nothing, and nobody is told.
    Silent,
    /// Only what the database says.
    FromDatabase,
    /// Only what the database is told.
    ToDatabase,
    /// What the database says, and its end of the connection has been closed for what it is told.
    HalfClosed,
}

/// What happens to connections, by their number.
#[derive(Debug, Clone, Copy)]
struct Weather {
    /// Those before this number have ended, in this way.
    cut: (u64, Cut),
    /// For those before this number it is the first way, for the others the second one.
    ways: (u64, Way, Way),
    /// Whether further ones are taken.
    takes: bool,
    /// How long everything is on its way.
    delay: Duration,
}

/// A proxy before a database; gone when dropped.
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    weather: watch::Sender<Weather>,
    /// The number of the next connection.
    next: watch::Receiver<u64>,
    _runtime: Runtime,
}

impl Proxy {
    /// A proxy before what listens on `port` of this machine.
    pub(crate) fn before(port: u16) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let fair = Weather { cut: (0, Cut::Fin), ways: (0, Way::Open, Way::Open), takes: true, delay: Duration::ZERO };
        let (weather, (count, next)) = (watch::Sender::new(fair), watch::channel(0));
        runtime.spawn(listen(listener, port, weather.subscribe(), count));
        Self { address, weather, next, _runtime: runtime }
    }

    fn next(&self) -> u64 {
        *self.next.borrow()
    }

    /// Ends every connection that is open.
    pub(crate) fn cut(&self, cut: Cut) {
        let next = self.next();
        self.weather.send_modify(|weather| weather.cut = (next, cut));
    }

    /// How it is on connections that are open, and on those to come.
    pub(crate) fn ways(&self, open: Way, to_come: Way) {
        let next = self.next();
        self.weather.send_modify(|weather| weather.ways = (next, open, to_come));
    }

    /// Whether connections are taken from now on; those that are not are reset.
    pub(crate) fn takes(&self, takes: bool) {
        self.weather.send_modify(|weather| weather.takes = takes);
    }

    /// How long everything is on its way.
    pub(crate) fn delay(&self, delay: Duration) {
        self.weather.send_modify(|weather| weather.delay = delay);
    }

    /// Lets connections to come through. Those that went silent stay so: what forgot them does not remember.
    pub(crate) fn clears_up(&self) {
        self.weather.send_modify(|weather| {
            weather.ways.2 = Way::Open;
            weather.takes = true;
            weather.delay = Duration::ZERO;
        });
        // Connections that came meanwhile are forgotten too.
        let next = self.next();
        self.weather.send_modify(|weather| weather.ways.0 = next);
    }
}

async fn listen(listener: TcpListener, port: u16, weather: watch::Receiver<Weather>, count: watch::Sender<u64>) {
    while let Ok((client, _)) = listener.accept().await {
        if !weather.borrow().takes {
            let _ = client.set_zero_linger();
            continue;
        }
        let number = *count.borrow();
        count.send_replace(number + 1);
        tokio::spawn(carry(client, port, number, weather.clone()));
    }
}

async fn carry(client: TcpStream, port: u16, number: u64, weather: watch::Receiver<Weather>) {
    let Ok(server) = TcpStream::connect(("127.0.0.1", port)).await else {
        let _ = client.set_zero_linger();
        return;
    };
    for socket in [&client, &server] {
        let _ = socket.set_nodelay(true);
    }
    let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
    let asked = pump(from_client, to_server, number, weather.clone(), true);
    let told = pump(from_server, to_client, number, weather, false);
    // Whatever went wrong on one side, it ends there.
    let _ = tokio::join!(asked, told);
}

/// Carries what is said on one side to the other one, as far as the weather lets it.
async fn pump(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    number: u64,
    mut weather: watch::Receiver<Weather>,
    to_database: bool,
) -> io::Result<()> {
    let mut buffer = vec![0; 16 * 1024];
    let mut closed = false;
    loop {
        let now = *weather.borrow_and_update();
        if number < now.cut.0 {
            return if now.cut.1 == Cut::Reset { to.as_ref().set_zero_linger() } else { Ok(()) };
        }
        if to_database && now.way(number) == Way::HalfClosed && !closed {
            closed = true;
            let _ = to.shutdown().await;
        }
        let length = tokio::select! {
            length = from.read(&mut buffer) => length?,
            changed = weather.changed() => match changed {
                Ok(()) => continue,
                Err(_) => return Ok(()),
            },
        };
        let now = *weather.borrow();
        let passes = match now.way(number) {
            Way::Open => true,
            Way::Silent => false,
            Way::FromDatabase | Way::HalfClosed => !to_database,
            Way::ToDatabase => to_database,
        };
        if length == 0 {
            if !passes {
                // The other end is not told for a while.
                tokio::time::sleep(FORGOTTEN).await;
            }
            return to.shutdown().await;
        }
        if now.delay > Duration::ZERO {
            tokio::time::sleep(now.delay).await;
        }
        if passes {
            to.write_all(&buffer[..length]).await?;
        }
    }
}

impl Weather {
    fn way(&self, number: u64) -> Way {
        let (before, open, to_come) = self.ways;
        if number < before { open } else { to_come }
    }
}
