//! Batching: many questions of one kind, asked anywhere in a request or by several requests, become one statement.
//!
//! A loader answers a list of keys with one statement. A resolver asks for one key. While a request's task is polled
//! it only collects keys; when the poll is over, everything that could ask has asked, and [`Gathering::run`] sends the
//! batches off. So the number of statements depends on the shape of a query and not on how many things it names.
//!
//! Batches are shared by all requests: at most `IN_FLIGHT` statements of one kind run at a time, one only as long as
//! their batches are light, and keys that arrive meanwhile form the next batch. A light batch first yields to the
//! scheduler, so that tasks that are ready run and can add keys. An idle server adds no delay; a busy one builds larger
//! batches. A batch that is large already is closed to other requests, because what a statement costs then grows with
//! its keys, and sharing saves nothing more.
//!
//! The statement runs in a task of its own: a request that is given up takes nothing from the others, and a panic in a
//! loader becomes an error for all who wait. Only reads outside transactions may be loaded this way, and a key must be
//! built after permission was checked.

use std::any::{Any, TypeId};
use std::collections::{HashMap, HashSet, VecDeque};
use std::future::Future;
use std::hash::Hash;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use async_graphql::dataloader::Loader;
use tokio::sync::SetOnce;
use tracing::field::Empty;
use tracing::{Instrument as _, Span};

use super::meter::{Meter, TooLong};
use super::plan::Plans;
use waymark_db::{Db, Reader};
use waymark_kernel::error::{Error, Result};
use waymark_kernel::metrics::{Histogram, Metrics};
use waymark_kernel::trace;

/// How many statements of one kind of key may run at once.
const IN_FLIGHT: usize = 2;

/// What a batch must weigh to run beside another one of its kind; a lighter one waits and grows. A statement has a
/// price of its own, in the database and here, which light batches pay for few keys.
const WORTHWHILE: usize = 64;

/// A batch that weighs this much takes no keys of further requests.
const HEAVY: usize = 128;

/// When ready tasks have run for so long, a light batch waits no more for further ones.
const LONG: Duration = Duration::from_millis(1);

/// A question that a loader answers.
pub trait Key: Clone + Eq + Hash + Send + Sync + 'static {
    /// How many rows the answer may have, roughly; decides when a batch is full.
    fn weight(&self) -> usize {
        1
    }
}

/// Rows by what they belong to, in their order.
pub fn grouped<K: Eq + Hash, T>(rows: impl IntoIterator<Item = (K, T)>) -> HashMap<K, Vec<T>> {
    let mut groups: HashMap<K, Vec<T>> = HashMap::new();
    for (key, row) in rows {
        groups.entry(key).or_default().push(row);
    }
    groups
}

/// Rows by the user they belong to, sorted by their `id`.
pub fn sorted<T>(rows: Vec<(i64, T)>, id: impl Fn(&T) -> i64) -> HashMap<i64, Arc<[T]>> {
    let sort = |mut rows: Vec<T>| {
        rows.sort_unstable_by_key(&id);
        Arc::from(rows)
    };
    grouped(rows).into_iter().map(|(user, rows)| (user, sort(rows))).collect()
}

type Answers<K> = Result<HashMap<K, <Reader as Loader<K>>::Value>>;
type Answer<K> = Arc<SetOnce<Answers<K>>>;

/// The batches of the whole process.
#[derive(Debug)]
pub struct Batcher {
    reader: Arc<Reader>,
    queues: RwLock<HashMap<TypeId, Arc<dyn Any + Send + Sync>>>,
    gatherings: AtomicU64,
    metrics: Arc<Metrics>,
    /// The batches that replicas answer.
    replicas: Option<(Arc<Self>, Db)>,
}

impl Batcher {
    /// Makes the batches of a process, which read by `reader` and are counted in `metrics`.
    pub fn new(reader: Reader, metrics: Arc<Metrics>) -> Arc<Self> {
        Arc::new(Self::of(reader, metrics, None))
    }

    /// The same for `db`, with further batches for its replicas.
    pub fn over(db: &Db, metrics: Arc<Metrics>) -> Arc<Self> {
        let replicas = Reader::of_replicas(db).map(|reader| (Self::new(reader, Arc::clone(&metrics)), db.clone()));
        Arc::new(Self::of(Reader::new(db), metrics, replicas))
    }

    fn of(reader: Reader, metrics: Arc<Metrics>, replicas: Option<(Arc<Self>, Db)>) -> Self {
        let (reader, queues, gatherings) = (Arc::new(reader), RwLock::default(), AtomicU64::new(0));
        Self { reader, queues, gatherings, metrics, replicas }
    }

    /// The batches for a request that writes nothing, of a caller with this name: those of replicas, where they have
    /// what the caller must see.
    pub fn to_read(self: &Arc<Self>, principal: impl FnOnce() -> String) -> &Arc<Self> {
        match &self.replicas {
            Some((replicas, db)) if db.replicas_serve(&principal()) => replicas,
            _ => self,
        }
    }

    /// Begins to collect for one request.
    pub fn gather(self: &Arc<Self>) -> Arc<Gathering> {
        let id = self.gatherings.fetch_add(1, Ordering::Relaxed);
        Arc::new(Gathering {
            batcher: Arc::clone(self),
            id,
            touched: Mutex::default(),
            batches: AtomicU32::new(0),
            meter: Meter::default(),
            plans: Plans::default(),
        })
    }

    fn queue<K: Key>(&self) -> Arc<Queue<K>>
    where
        Reader: Loader<K, Error = Error>,
    {
        let kind = TypeId::of::<K>();
        let known = self.queues.read().unwrap_or_else(PoisonError::into_inner).get(&kind).cloned();
        let queue = known.unwrap_or_else(|| {
            let mut queues = self.queues.write().unwrap_or_else(PoisonError::into_inner);
            let queue = queues.entry(kind).or_insert_with(|| Arc::new(self.new_queue::<K>()));
            Arc::clone(queue)
        });
        // The map holds under a type's id only queues of that type, so the second arm is never taken.
        queue.downcast::<Queue<K>>().unwrap_or_else(|_| Arc::new(self.new_queue()))
    }

    fn new_queue<K: Key>(&self) -> Queue<K>
    where
        Reader: Loader<K, Error = Error>,
    {
        let sizes = self.metrics.batches(short_name::<K>());
        Queue { reader: Arc::clone(&self.reader), state: Mutex::new(State::default()), sizes }
    }
}

/// The name of a type without the path to it.
fn short_name<K>() -> &'static str {
    let name = std::any::type_name::<K>();
    let name = name.split('<').next().unwrap_or(name);
    name.rsplit("::").next().unwrap_or(name)
}

/// What one request has asked for and not yet sent off.
#[derive(Debug)]
pub struct Gathering {
    batcher: Arc<Batcher>,
    id: u64,
    touched: Mutex<Vec<Arc<dyn Dispatch>>>,
    batches: AtomicU32,
    meter: Meter,
    plans: Plans,
}

impl Gathering {
    /// Runs the work of a request and sends its batches off after each poll of it. Loads made outside of this wait
    /// for ever, so a request's whole work goes in here.
    pub fn run<F: Future>(self: &Arc<Self>, work: F) -> impl Future<Output = F::Output> + use<F> {
        Running { gathering: Arc::clone(self), work: Box::pin(work) }
    }

    /// Runs the work of a request like [`Gathering::run`], as long as its answer is not too long.
    pub fn run_within<F: Future>(
        self: &Arc<Self>,
        work: F,
    ) -> impl Future<Output = Result<F::Output, TooLong>> + use<F> {
        let gathering = Arc::clone(self);
        self.run(async move { gathering.meter.watch(work).await })
    }

    /// How much the request has made of its answer.
    pub const fn meter(&self) -> &Meter {
        &self.meter
    }

    /// Begins another answer of the same request, such as the one to the next event.
    pub fn restart(&self) {
        self.meter.restart();
        self.plans.clear();
    }

    /// How the objects of its answer are written.
    pub(super) const fn plans(&self) -> &Plans {
        &self.plans
    }

    /// The value of `key`, or `None` where there is none.
    pub async fn one<K: Key>(&self, key: K) -> Result<Option<<Reader as Loader<K>>::Value>>
    where
        Reader: Loader<K, Error = Error>,
    {
        let answer = self.ask([key.clone()]);
        let answers = answer.wait().await;
        self.meter.pause().await;
        answers.as_ref().map(|values| values.get(&key).cloned()).map_err(Error::clone)
    }

    /// The values of `keys`, in their order; `None` where there is none.
    pub async fn many<K: Key>(&self, keys: Vec<K>) -> Result<Vec<Option<<Reader as Loader<K>>::Value>>>
    where
        Reader: Loader<K, Error = Error>,
    {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let answer = self.ask(keys.iter().cloned());
        let answers = answer.wait().await.as_ref().map_err(Error::clone)?;
        self.meter.pause().await;
        Ok(keys.iter().map(|key| answers.get(key).cloned()).collect())
    }

    fn ask<K: Key>(&self, keys: impl IntoIterator<Item = K>) -> Answer<K>
    where
        Reader: Loader<K, Error = Error>,
    {
        let queue = self.batcher.queue::<K>();
        let mut touched = self.touched.lock().unwrap_or_else(PoisonError::into_inner);
        let first = !touched.iter().any(|known| known.kind() == TypeId::of::<K>());
        let answer = queue.add(self.id, first, keys);
        if first {
            self.batches.fetch_add(1, Ordering::Relaxed);
            touched.push(queue);
        }
        answer
    }

    /// In how many batches the request has had a part so far, each of which was a statement, shared or not.
    pub fn batches(&self) -> u32 {
        self.batches.load(Ordering::Relaxed)
    }

    fn dispatch(&self) {
        let touched = std::mem::take(&mut *self.touched.lock().unwrap_or_else(PoisonError::into_inner));
        for queue in touched {
            queue.dispatch();
        }
    }
}

struct Running<F> {
    gathering: Arc<Gathering>,
    work: Pin<Box<F>>,
}

impl<F: Future> Future for Running<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        // Sent off by a guard, so that a panic in the work does not leave an open batch behind.
        let _after = AfterPoll(&Arc::clone(&self.gathering));
        pin!(&mut self.work).poll(context)
    }
}

struct AfterPoll<'a>(&'a Gathering);

impl Drop for AfterPoll<'_> {
    fn drop(&mut self) {
        self.0.dispatch();
    }
}

/// A queue whose kind of key is not named.
trait Dispatch: Send + Sync + std::fmt::Debug {
    fn kind(&self) -> TypeId;
    fn dispatch(self: Arc<Self>);
}

/// The batches of one kind of key.
struct Queue<K: Key>
where
    Reader: Loader<K, Error = Error>,
{
    reader: Arc<Reader>,
    state: Mutex<State<K>>,
    sizes: Histogram,
}

struct State<K: Key>
where
    Reader: Loader<K, Error = Error>,
{
    /// The batch that still takes keys.
    open: Option<Batch<K>>,
    /// Full batches that wait for their turn.
    full: VecDeque<Batch<K>>,
    /// How many requests are being polled that have added to the open batch.
    gathering: usize,
    in_flight: usize,
    /// Whether the open batch has had its turn when a request was in the midst of adding, and goes as soon as it can.
    due: bool,
}

impl<K: Key> Default for State<K>
where
    Reader: Loader<K, Error = Error>,
{
    fn default() -> Self {
        Self { open: None, full: VecDeque::new(), gathering: 0, in_flight: 0, due: false }
    }
}

struct Batch<K: Key>
where
    Reader: Loader<K, Error = Error>,
{
    keys: HashSet<K>,
    weight: usize,
    /// The request that added last; all its keys stay in one batch.
    last: u64,
    /// In the trace of the request that began the batch, from then on until there are answers.
    span: Span,
    answer: Answer<K>,
}

impl<K: Key> std::fmt::Debug for Queue<K>
where
    Reader: Loader<K, Error = Error>,
{
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Queue<{}>", std::any::type_name::<K>())
    }
}

impl<K: Key> Queue<K>
where
    Reader: Loader<K, Error = Error>,
{
    fn state(&self) -> MutexGuard<'_, State<K>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, request: u64, first: bool, keys: impl IntoIterator<Item = K>) -> Answer<K> {
        let mut state = self.state();
        state.gathering += usize::from(first);
        if let Some(full) = state.open.take_if(|open| open.weight >= HEAVY && open.last != request) {
            state.full.push_back(full);
        }
        let batch = state.open.get_or_insert_with(|| Batch {
            keys: HashSet::new(),
            weight: 0,
            last: request,
            span: Span::none(),
            answer: Arc::new(SetOnce::new()),
        });
        if batch.span.is_disabled() {
            batch.span = tracing::debug_span!(
                target: trace::TARGET,
                "batch",
                "waymark.loader" = short_name::<K>(),
                "waymark.keys" = Empty,
            );
        } else if batch.last != request {
            // A span has one parent; the other requests that have a part are linked.
            batch.span.follows_from(Span::current());
        }
        batch.last = request;
        for key in keys {
            let weight = key.weight();
            if batch.keys.insert(key) {
                batch.weight += weight;
            }
        }
        Arc::clone(&batch.answer)
    }

    /// Changes the state, and then lets as many waiting batches go as may run.
    fn start(self: &Arc<Self>, change: impl FnOnce(&mut State<K>)) {
        let mut ready = Vec::new();
        {
            let mut state = self.state();
            change(&mut state);
            ready.extend(std::iter::from_fn(|| state.next()));
        }
        // Not before the state is free again: a runtime that shuts down drops at once what is spawned.
        for next in ready {
            let due = next.as_ref().map_or(Due::Open, |batch| Due::Answer(Arc::clone(&batch.answer)));
            tokio::spawn(Turn { queue: Arc::clone(self), due }.run(next));
        }
    }
}

impl<K: Key> State<K>
where
    Reader: Loader<K, Error = Error>,
{
    /// A turn for a batch, counted as one in flight. `None` inside is for the open one while it is light: it is taken
    /// when its turn comes, and other requests add to it until then. It never goes when a request is in the midst of
    /// adding.
    fn next(&mut self) -> Option<Option<Batch<K>>> {
        if self.in_flight >= IN_FLIGHT {
            return None;
        }
        let complete = self.gathering == 0;
        let now = self.due || self.open.as_ref().is_some_and(|open| open.weight >= WORTHWHILE);
        let next = match self.take(now) {
            Some(batch) => Some(batch),
            None if complete && self.in_flight == 0 && self.open.is_some() => None,
            None => return None,
        };
        self.in_flight += 1;
        Some(next)
    }

    /// The batch that waits longest. The open one only if it may go, and no request is in the midst of adding to it.
    fn take(&mut self, may_open: bool) -> Option<Batch<K>> {
        let open = may_open && self.gathering == 0;
        self.full.pop_front().or_else(|| {
            self.due &= !open;
            self.open.take_if(|_| open)
        })
    }
}

impl<K: Key> Dispatch for Queue<K>
where
    Reader: Loader<K, Error = Error>,
{
    fn kind(&self) -> TypeId {
        TypeId::of::<K>()
    }

    fn dispatch(self: Arc<Self>) {
        self.start(|state| state.gathering = state.gathering.saturating_sub(1));
    }
}

/// A turn of a batch; dropping it answers the tasks that still wait and lets the next batch go.
struct Turn<K: Key>
where
    Reader: Loader<K, Error = Error>,
{
    queue: Arc<Queue<K>>,
    due: Due<K>,
}

/// Whom a turn owes an answer.
enum Due<K: Key>
where
    Reader: Loader<K, Error = Error>,
{
    /// Those who wait for the batch that is still open.
    Open,
    /// Those who wait for this one.
    Answer(Answer<K>),
    Nobody,
}

impl<K: Key> Turn<K>
where
    Reader: Loader<K, Error = Error>,
{
    /// Loads `batch`, or the open one after a while in which ready tasks run, and may add to it.
    async fn run(mut self, batch: Option<Batch<K>>) {
        let batch = match batch {
            Some(batch) => batch,
            None => {
                // The tasks that are ready run first, and then those to whom requests have come meanwhile; but when the
                // former took long, there was time enough.
                let began = Instant::now();
                tokio::task::yield_now().await;
                if began.elapsed() < LONG {
                    tokio::task::yield_now().await;
                }
                let Some(batch) = self.take_open() else { return };
                batch
            }
        };
        self.queue.sizes.record(u32::try_from(batch.keys.len()).unwrap_or(u32::MAX));
        batch.span.record("waymark.keys", i64::try_from(batch.keys.len()).unwrap_or(i64::MAX));
        let keys: Vec<K> = batch.keys.into_iter().collect();
        let work = self.queue.reader.load(&keys);
        let answers = if batch.span.is_disabled() {
            work.await
        } else {
            let work: Pin<Box<dyn Future<Output = Answers<K>> + Send>> = Box::pin(work);
            work.instrument(batch.span).await
        };
        // Set once, here, unless the loader panicked.
        let _ = batch.answer.set(answers);
    }

    /// The batch that waits longest, which is the open one as a rule. `None` when a request is in the midst of adding
    /// to it, which will let it go, or when it has gone because it became heavy.
    fn take_open(&mut self) -> Option<Batch<K>> {
        self.due = Due::Nobody;
        let mut state = self.queue.state();
        let Some(batch) = state.take(true) else {
            state.due = state.open.is_some();
            return None;
        };
        self.due = Due::Answer(Arc::clone(&batch.answer));
        Some(batch)
    }
}

impl<K: Key> Drop for Turn<K>
where
    Reader: Loader<K, Error = Error>,
{
    fn drop(&mut self) {
        let owed = match std::mem::replace(&mut self.due, Due::Nobody) {
            Due::Open => self.queue.state().open.take().map(|batch| batch.answer),
            Due::Answer(answer) => Some(answer),
            Due::Nobody => None,
        };
        if let Some(answer) = owed.filter(|answer| !answer.initialized()) {
            let _ = answer.set(Err(Error::internal("a loader stopped before it had an answer")));
        }
        self.queue.start(|state| state.in_flight -= 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A question that is never answered. Every other one makes a batch heavy.
    #[derive(Debug, Clone, PartialEq, Eq, Hash)]
    struct Never(usize);

    impl Key for Never {
        fn weight(&self) -> usize {
            if self.0.is_multiple_of(2) { 1 } else { HEAVY }
        }
    }

    impl Loader<Never> for Reader {
        type Value = ();
        type Error = Error;

        async fn load(&self, _: &[Never]) -> Result<HashMap<Never, ()>> {
            std::future::pending().await
        }
    }

    /// A question whose answer is how many were asked in the same batch.
    #[derive(Debug, Clone, PartialEq, Eq, Hash)]
    struct Company(usize);

    impl Key for Company {}

    impl Loader<Company> for Reader {
        type Value = usize;
        type Error = Error;

        async fn load(&self, keys: &[Company]) -> Result<HashMap<Company, usize>> {
            Ok(keys.iter().map(|key| (key.clone(), keys.len())).collect())
        }
    }

    async fn batcher() -> Arc<Batcher> {
        let db = Db::connect("sqlite::memory:", 2).await.unwrap();
        Batcher::new(Reader::new(&db), Arc::new(Metrics::new().unwrap()))
    }

    #[tokio::test]
    async fn requests_that_are_there_at_once_share_the_first_batch_too() {
        let batcher = batcher().await;
        let requests: Vec<_> = (0..10)
            .map(|number| {
                let gathering = batcher.gather();
                let asks = Arc::clone(&gathering);
                tokio::spawn(gathering.run(async move { asks.one(Company(number)).await }))
            })
            .collect();
        for request in requests {
            assert_eq!(request.await.unwrap().unwrap(), Some(10));
        }
    }

    #[test]
    fn a_runtime_ends_in_the_midst_of_batches() {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async {
            let batcher = batcher().await;
            // Some run, and the others wait for their turn.
            for number in 0..20 {
                let gathering = batcher.gather();
                let asks = Arc::clone(&gathering);
                let ask = gathering.run(async move { asks.one(Never(number)).await });
                assert!(tokio::time::timeout(Duration::from_millis(5), ask).await.is_err());
            }
        });
        let (ended, end) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            drop(runtime);
            ended.send(()).unwrap();
        });
        end.recv_timeout(Duration::from_secs(20)).expect("the runtime ends");
    }
}
