//! The process that follows and writes. It is told line by line what to do, and answers each by a line.
//!
//! Those who write and those who follow share one clock here.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};
use std::io::stdin;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::task::{LocalSet, spawn_local};
use waymark::demo::load;

use crate::Result;
use crate::load::{Connection, Dialect, Target};
use crate::socket::Socket;
use crate::spelling::Spelling;

/// How many connect at a time.
const CONNECTING: usize = 64;
/// How many connections write. The users are shared out among them: what is written for one comes over one.
const WRITING: usize = 32;
/// After which a subscription that ended begins anew.
const PAUSE: Duration = Duration::from_secs(1);
/// How long events that are late are waited for.
const PATIENCE: Duration = Duration::from_secs(10);

const FOLLOW: &str = "subscription($id: ID!) { userProgress(user: {id: $id}) { cursor number kind subject changes } }";
const WRITE: &str = "mutation($input: UpdateResourceProgressInput!) { updateResourceProgress(input: $input) { \
    changes { events { number } } userErrors { code } } }";

/// Whom to connect to, and as whom: the first line.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Scene {
    pub(crate) address: SocketAddr,
    /// Of the app that writes.
    pub(crate) key: String,
    pub(crate) followers: Vec<Follower>,
}

/// A user who follows their own progress.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Follower {
    pub(crate) ulid: String,
    pub(crate) token: String,
}

/// What to do.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Order {
    /// Let everybody subscribe. Answered with the seconds that it took.
    Connect,
    /// Write so many times a second. Answered with [`Written`].
    Write { rate: u32, duration: Duration },
}

/// What came of writing.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Written {
    pub(crate) writes: usize,
    pub(crate) seconds: f64,
    pub(crate) events: usize,
    pub(crate) lost: usize,
    pub(crate) doubled: usize,
    /// Events that came after a later one of their user.
    pub(crate) disordered: usize,
    /// Events that nobody wrote.
    pub(crate) strange: usize,
    /// From sending a write to its answer.
    pub(crate) answer: Spread,
    /// From sending a write to the event.
    pub(crate) event: Spread,
    /// From the answer to the event, which may come first.
    pub(crate) after_answer: Spread,
    /// Why subscriptions had ended before anything was written. They began anew.
    pub(crate) refusals: Vec<String>,
    /// Why subscriptions ended meanwhile.
    pub(crate) failures: Vec<String>,
}

/// Milliseconds.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Spread {
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    pub(crate) max: f64,
}

impl Spread {
    fn of(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        let at = |share: f64| {
            let place = (values.len() as f64 * share) as usize;
            values.get(place.min(values.len().saturating_sub(1))).copied().unwrap_or_default()
        };
        Self { p50: at(0.5), p99: at(0.99), max: at(1.0) }
    }
}

/// An event, known by the place of its user among the followers and its number among the user's events.
type Name = (usize, u64);

/// What all followers have heard.
#[derive(Debug, Default)]
struct Heard {
    events: Vec<(Name, Instant)>,
    failures: Vec<String>,
}

#[derive(Debug)]
struct Write {
    name: Name,
    sent: Instant,
    answered: Instant,
}

/// Does what it is told until there is nothing more.
pub(crate) async fn run() -> Result<()> {
    let (said, mut orders) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for line in stdin().lines().map_while(std::io::Result::ok) {
            if said.send(line).is_err() {
                break;
            }
        }
    });
    let scene = orders.recv().await.ok_or("nobody says whom to connect to")?;
    let scene: Rc<Scene> = Rc::new(serde_json::from_str(&scene)?);
    let heard = Rc::default();
    let mut follows = false;
    let all = async {
        while let Some(line) = orders.recv().await {
            let answer = match serde_json::from_str(&line)? {
                Order::Connect => {
                    follows = true;
                    serde_json::to_string(&connect(&scene, &heard).await?)
                }
                Order::Write { rate, duration } => {
                    serde_json::to_string(&write(&scene, &heard, follows, rate, duration).await?)
                }
            };
            println!("{}", answer?);
        }
        Ok(())
    };
    LocalSet::new().run_until(all).await
}

/// Lets everybody subscribe, and gives the seconds that it took.
async fn connect(scene: &Rc<Scene>, heard: &Rc<RefCell<Heard>>) -> Result<f64> {
    let begin = Instant::now();
    let next = Rc::new(Cell::new(0));
    let tasks: Vec<_> = (0..CONNECTING)
        .map(|_| {
            let (scene, heard, next) = (Rc::clone(scene), Rc::clone(heard), Rc::clone(&next));
            spawn_local(connect_in_turn(scene, heard, next))
        })
        .collect();
    for task in tasks {
        task.await??;
    }
    Ok(begin.elapsed().as_secs_f64())
}

/// Lets one follower after the other subscribe, beside others who do.
async fn connect_in_turn(scene: Rc<Scene>, heard: Rc<RefCell<Heard>>, next: Rc<Cell<usize>>) -> Result<()> {
    loop {
        let place = next.replace(next.get() + 1);
        if place >= scene.followers.len() {
            return Ok(());
        }
        let socket = subscribe(&scene, place, &heard).await?;
        spawn_local(follow(Rc::clone(&scene), socket, place, Rc::clone(&heard)));
    }
}

/// Lets the one in that place subscribe, again and again if need be.
async fn subscribe(scene: &Scene, place: usize, heard: &RefCell<Heard>) -> Result<Socket> {
    const ATTEMPTS: u32 = 10;
    for _ in 0..ATTEMPTS {
        match try_to_subscribe(scene.address, &scene.followers[place]).await {
            Ok(socket) => return Ok(socket),
            Err(error) => heard.borrow_mut().failures.push(error.to_string()),
        }
        tokio::time::sleep(PAUSE).await;
    }
    Err(format!("one was refused {ATTEMPTS} times: {:?}", heard.borrow().failures.last()).into())
}

async fn try_to_subscribe(address: SocketAddr, follower: &Follower) -> Result<Socket> {
    let mut socket = Socket::open(address).await?;
    let credential = json!({ "Authorization": format!("Bearer {}", follower.token) });
    socket.send(&json!({ "type": "connection_init", "payload": credential }).to_string()).await?;
    expect(&mut socket, "connection_ack").await?;
    let payload = json!({ "query": FOLLOW, "variables": { "id": format!("user:{}", follower.ulid) } });
    socket.send(&json!({ "type": "subscribe", "id": "1", "payload": payload }).to_string()).await?;
    // Messages are taken one after the other: when this is answered, the one before was understood.
    socket.send(r#"{"type":"ping"}"#).await?;
    expect(&mut socket, "pong").await?;
    Ok(socket)
}

async fn expect(socket: &mut Socket, kind: &str) -> Result<()> {
    let (message, _) = socket.hear().await?;
    let said: Value = serde_json::from_str(&message)?;
    if said["type"] == kind { Ok(()) } else { Err(format!("{message} came, not {kind}").into()) }
}

/// Writes down what comes, and begins anew when the subscription ends.
async fn follow(scene: Rc<Scene>, mut socket: Socket, place: usize, heard: Rc<RefCell<Heard>>) {
    loop {
        let event = socket.hear().await.and_then(|(message, came)| Ok(((place, number(&message)?), came)));
        match event {
            Ok(event) => heard.borrow_mut().events.push(event),
            Err(error) => {
                heard.borrow_mut().failures.push(error.to_string());
                // Its place is free for the next one.
                drop(socket);
                tokio::time::sleep(PAUSE).await;
                match subscribe(&scene, place, &heard).await {
                    Ok(anew) => socket = anew,
                    Err(error) => return heard.borrow_mut().failures.push(error.to_string()),
                }
            }
        }
    }
}

/// The number of the event in a message.
fn number(message: &str) -> Result<u64> {
    let said: Value = serde_json::from_str(message)?;
    let number = said["payload"]["data"]["userProgress"]["number"].as_u64();
    number.ok_or_else(|| format!("{message} is no event").into())
}

/// Writes so many times a second, and compares what was written with what came.
async fn write(
    scene: &Rc<Scene>,
    heard: &Rc<RefCell<Heard>>,
    follows: bool,
    rate: u32,
    duration: Duration,
) -> Result<Written> {
    heard.borrow_mut().events.clear();
    let refusals = std::mem::take(&mut heard.borrow_mut().failures);
    let begin = Instant::now();
    let connections = WRITING.min(scene.followers.len());
    let tasks: Vec<_> = (0..connections)
        .map(|first| spawn_local(write_in_turn(Rc::clone(scene), first, connections, rate, begin, duration)))
        .collect();
    let mut writes = Vec::new();
    for task in tasks {
        writes.append(&mut task.await??);
    }
    let seconds = begin.elapsed().as_secs_f64();
    let deadline = Instant::now() + PATIENCE;
    while follows && heard.borrow().events.len() < writes.len() && Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // What came twice may come late.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let heard = heard.borrow();
    let answer = Spread::of(writes.iter().map(|write| millis(write.sent, write.answered)).collect());
    let written = Written { writes: writes.len(), seconds, answer, refusals, ..Written::default() };
    Ok(if follows { compared(written, &writes, &heard) } else { written })
}

fn compared(written: Written, writes: &[Write], heard: &Heard) -> Written {
    let mut came = HashMap::new();
    let mut last: HashMap<usize, u64> = HashMap::new();
    let (mut doubled, mut disordered) = (0, 0);
    for ((place, number), at) in &heard.events {
        doubled += usize::from(came.insert((*place, *number), *at).is_some());
        let before = last.entry(*place).or_default();
        disordered += usize::from(*number < *before);
        *before = *number.max(before);
    }
    let names: HashSet<Name> = writes.iter().map(|write| write.name).collect();
    let pairs: Vec<_> = writes.iter().filter_map(|write| Some((write, *came.get(&write.name)?))).collect();
    Written {
        events: heard.events.len(),
        lost: writes.len() - pairs.len(),
        doubled,
        disordered,
        strange: came.keys().filter(|name| !names.contains(name)).count(),
        event: Spread::of(pairs.iter().map(|(write, came)| millis(write.sent, *came)).collect()),
        after_answer: Spread::of(pairs.iter().map(|(write, came)| millis(write.answered, *came)).collect()),
        failures: heard.failures.clone(),
        ..written
    }
}

/// Writes for every `step`th user from `first` on, one after the other, when it is their turn.
async fn write_in_turn(
    scene: Rc<Scene>,
    first: usize,
    step: usize,
    rate: u32,
    begin: Instant,
    duration: Duration,
) -> Result<Vec<Write>> {
    let dialect = Dialect::Waymark(Spelling::Plain);
    let target = Target { address: scene.address, key: scene.key.clone(), dialect };
    let mut connection = Connection::open(&target).await?;
    let mut writes = Vec::new();
    let places = (first..scene.followers.len()).step_by(step).cycle();
    for (turn, place) in (first..).step_by(step).zip(places) {
        let due = Duration::from_secs_f64(turn as f64 / f64::from(rate));
        if due >= duration {
            break;
        }
        tokio::time::sleep_until((begin + due).into()).await;
        let request = request(&scene, place);
        let sent = Instant::now();
        let answer = connection.ask(&request).await?;
        let answered = Instant::now();
        let said: Value = serde_json::from_slice(answer)?;
        let events = said["data"]["updateResourceProgress"]["changes"]["events"].as_array();
        let [event] = events.map_or(&[][..], Vec::as_slice) else {
            return Err(format!("a write did not make one event: {said}").into());
        };
        let number = event["number"].as_u64().ok_or("an event has no number")?;
        writes.push(Write { name: (place, number), sent, answered });
    }
    Ok(writes)
}

/// A write for the user in that place, which makes one event each time.
fn request(scene: &Scene, place: usize) -> String {
    let user = json!({ "id": format!("user:{}", scene.followers[place].ulid) });
    let input = json!({ "user": user, "resourceId": load::resource_key(1), "addTimeSpentMinutes": 1 });
    let body = json!({ "query": WRITE, "variables": { "input": input } }).to_string();
    format!(
        "POST /graphql HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\nauthorization: Bearer {}\r\n\
         content-length: {}\r\n\r\n{body}",
        scene.key,
        body.len()
    )
}

/// How much later than `from` it was, or earlier, if below 0.
fn millis(from: Instant, to: Instant) -> f64 {
    let forward = to.saturating_duration_since(from).as_secs_f64();
    let back = from.saturating_duration_since(to).as_secs_f64();
    (forward - back) * 1000.0
}
