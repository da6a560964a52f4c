//! How much a caller may ask for in a time: a bucket of tokens for each, charged by what requests cost.
//!
//! A bucket fills at a steady rate up to what it holds, and a request takes out what it costs. A user has one bucket
//! for all their credentials, an API key has one, and without a credential the address has one: a whole /64 of IPv6,
//! which is what one customer of a provider gets. Wallets that only their owners know of draw on the bucket of their
//! address too, with or without a user: anybody can make as many as they like. As many buckets are kept as
//! `MOST_KEPT` says, those in use before others.

use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::Caller;
use waymark_kernel::config::Config;
use waymark_kernel::error::{Error, Result};

/// How many buckets of a kind are kept; each takes about 200 bytes.
const MOST_KEPT: u64 = 50_000;

/// The buckets of all callers.
#[derive(Debug)]
pub struct Rates {
    people: Option<Buckets>,
    apps: Option<Buckets>,
}

#[derive(Debug)]
struct Buckets {
    rate: NonZeroU32,
    /// In how many nanoseconds an empty bucket is full again.
    span: u64,
    start: Instant,
    buckets: moka::sync::Cache<Key, Arc<Bucket>>,
}

/// A bucket: in how many nanoseconds since the start of its books it will be full, if nothing more is taken out. That
/// may lie farther ahead than an empty bucket takes to fill: the caller then owes the difference.
#[derive(Debug, Default)]
struct Bucket(AtomicU64);

/// Whose bucket it is.
#[derive(Debug, PartialEq, Eq, Hash)]
enum Key {
    User(i64),
    /// A person with a token and without a user: provider and identity.
    Newcomer(String),
    App(i64),
    /// An anonymous client, at this address where it is known.
    Address(Option<IpAddr>),
}

impl Key {
    fn of(caller: &Caller, peer: Option<IpAddr>) -> Self {
        match caller {
            Caller::User(player) if player.member => {
                player.user.map_or_else(|| Self::Newcomer(caller.principal()), |id| Self::User(id.0))
            }
            Caller::App(key) => Self::App(key.id),
            Caller::User(_) | Caller::Anonymous => Self::Address(peer.map(network)),
        }
    }
}

/// The address, or the network of 64 bits to which it belongs.
pub fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        v4 => v4,
    }
}

impl Rates {
    /// Empty books, with the rates of `config`.
    pub fn from_config(config: &Config) -> Self {
        let buckets = |rate: u32| Buckets::new(rate, config.rate_burst_seconds);
        Self { people: buckets(config.rate_per_second), apps: buckets(config.app_rate_per_second) }
    }

    /// Takes `cost` out of the caller's bucket, and says how much is left; `None` where the rate is not limited. What
    /// costs more than a bucket holds takes a full one.
    ///
    /// # Errors
    /// [`Code::RateLimited`](waymark_kernel::error::Code::RateLimited) with the time to wait, when there is not so much
    /// in it.
    pub fn charge(&self, caller: &Caller, peer: Option<IpAddr>, cost: u64) -> Result<Option<u32>> {
        self.of(caller).map(|buckets| buckets.charge(Key::of(caller, peer), cost)).transpose()
    }

    /// Takes `cost` out of the caller's bucket for what has been done already. What is not in it is owed: nothing more
    /// is answered until the bucket has filled so far.
    pub fn owe(&self, caller: &Caller, peer: Option<IpAddr>, cost: u64) {
        if let Some(buckets) = self.of(caller) {
            buckets.owe(Key::of(caller, peer), cost);
        }
    }

    const fn of(&self, caller: &Caller) -> Option<&Buckets> {
        if matches!(caller, Caller::App(_)) { self.apps.as_ref() } else { self.people.as_ref() }
    }
}

/// What part of the rate of an address may be spent on credentials that are refused.
const REFUSED_PART: u32 = 10;

/// What refused credentials cost the address they come from. It has a bucket for them that is a tenth of its other one,
/// so that a client that tries out credentials uses up neither the server's time nor the bucket of other clients at the
/// address.
#[derive(Debug)]
pub struct Refusals(Option<Buckets>);

impl Refusals {
    /// Empty books, with a part of the rate in `config`.
    pub fn from_config(config: &Config) -> Self {
        let rate = config.rate_per_second;
        let part = if rate == 0 { 0 } else { (rate / REFUSED_PART).max(1) };
        Self(Buckets::new(part, config.rate_burst_seconds))
    }

    /// Whether a credential from this address is looked at.
    ///
    /// # Errors
    /// [`Code::RateLimited`](waymark_kernel::error::Code::RateLimited) with the time to wait, when too many were
    /// refused recently.
    pub fn check(&self, peer: Option<IpAddr>) -> Result<()> {
        let Some(seconds) = self.0.as_ref().and_then(|buckets| buckets.wait(&Key::Address(peer.map(network)))) else {
            return Ok(());
        };
        let message = format!("too many credentials from this address were refused; try again in {seconds} seconds");
        Err(Error::rate_limited(seconds).saying(message))
    }

    /// A credential was refused, and finding that out took so much.
    pub fn refused(&self, peer: Option<IpAddr>, cost: u64) {
        if let Some(buckets) = &self.0 {
            buckets.owe(Key::Address(peer.map(network)), cost);
        }
    }
}

/// Nanoseconds in a second.
const SECOND: u64 = 1_000_000_000;

impl Buckets {
    fn new(rate: u32, seconds: u32) -> Option<Self> {
        let rate = NonZeroU32::new(rate)?;
        let span = u64::from(seconds) * SECOND;
        // A bucket that was not used for so long is full, and equals a new one, even if it owed its whole size.
        let full = Duration::from_secs(2 * u64::from(seconds) + 1);
        let buckets = moka::sync::Cache::builder().max_capacity(MOST_KEPT).time_to_idle(full).build();
        Some(Self { rate, span, start: Instant::now(), buckets })
    }

    fn charge(&self, key: Key, cost: u64) -> Result<u32> {
        let bucket = self.buckets.get_with(key, Arc::default);
        let (now, takes) = (self.now(), self.nanos(cost).min(self.span));
        let take = |full_at: u64| {
            let full_at = full_at.max(now) + takes;
            (full_at - now <= self.span).then_some(full_at)
        };
        match bucket.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take) {
            Ok(before) => Ok(self.tokens(self.span - (before.max(now) + takes - now))),
            Err(full_at) => Err(Error::rate_limited(seconds(full_at.max(now) + takes - now - self.span))),
        }
    }

    fn owe(&self, key: Key, cost: u64) {
        let bucket = self.buckets.get_with(key, Arc::default);
        let (now, takes) = (self.now(), self.nanos(cost));
        // No caller owes more than a full bucket.
        let most = now + 2 * self.span;
        let take = |full_at: u64| Some(full_at.max(now).saturating_add(takes).min(most.max(full_at)));
        // What is never refused never fails.
        let _ = bucket.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take);
    }

    /// In how many seconds there is something in the bucket; `None` when there is.
    fn wait(&self, key: &Key) -> Option<u32> {
        let full_in = self.buckets.get(key)?.0.load(Ordering::Relaxed).saturating_sub(self.now());
        (full_in >= self.span).then(|| seconds(full_in - self.span))
    }

    fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX / 2)
    }

    /// Returns how long the bucket takes to gain `tokens`.
    fn nanos(&self, tokens: u64) -> u64 {
        let nanos = u128::from(tokens) * u128::from(SECOND) / u128::from(self.rate.get());
        u64::try_from(nanos).unwrap_or(u64::MAX / 4).min(u64::MAX / 4)
    }

    fn tokens(&self, nanos: u64) -> u32 {
        let tokens = u128::from(nanos) * u128::from(self.rate.get()) / u128::from(SECOND);
        u32::try_from(tokens).unwrap_or(u32::MAX)
    }
}

fn seconds(nanos: u64) -> u32 {
    u32::try_from(nanos / SECOND).unwrap_or(u32::MAX).saturating_add(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AppKey, Player, UserId};
    use waymark_kernel::error::Code;

    fn rates(settings: &[(&str, &str)]) -> Rates {
        let settings = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Rates::from_config(&Config::from_sources(None, settings).unwrap())
    }

    fn user(id: Option<i64>, name: &str) -> Caller {
        Caller::User(Player {
            user: id.map(UserId),
            provider: "jwt".to_owned(),
            external_id: name.to_owned(),
            expires_at: None,
            handle_hint: None,
            member: true,
            actor: None,
        })
    }

    fn app(id: i64) -> Caller {
        let name = "app".to_owned();
        Caller::App(AppKey { id, actor: name.clone(), name, scopes: Vec::new(), owner: None })
    }

    fn address(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    const TEN: [(&str, &str); 2] = [("WAYMARK_RATE_PER_SECOND", "1"), ("WAYMARK_RATE_BURST_SECONDS", "10")];

    #[test]
    fn a_bucket_holds_so_much_and_what_is_too_much_says_how_long_to_wait() {
        let (rates, ada) = (rates(&TEN), user(Some(1), "ada"));
        assert_eq!(rates.charge(&ada, None, 4).unwrap(), Some(6));
        assert_eq!(rates.charge(&ada, None, 6).unwrap(), Some(0));
        let refused = rates.charge(&ada, None, 3).unwrap_err();
        assert_eq!(refused.code(), Code::RateLimited);
        assert!((1..=4).contains(&refused.retry_after().unwrap()), "{refused:?}");
    }

    #[test]
    fn a_refusal_costs_nothing_and_what_is_dearer_than_a_bucket_takes_a_full_one() {
        let (rates, ada) = (rates(&TEN), user(Some(1), "ada"));
        assert_eq!(rates.charge(&ada, None, 4).unwrap(), Some(6));
        assert!(rates.charge(&ada, None, 1_000_000).is_err());
        assert_eq!(rates.charge(&ada, None, 1).unwrap(), Some(5));
        assert_eq!(rates.charge(&user(Some(2), "eve"), None, u64::MAX).unwrap(), Some(0));
    }

    #[test]
    fn everybody_has_a_bucket_of_their_own() {
        let rates = rates(&TEN);
        for (caller, peer) in [
            (user(Some(1), "ada"), None),
            (user(Some(2), "eve"), None),
            (user(None, "new"), None),
            (user(None, "newer"), None),
            (Caller::Anonymous, None),
            (Caller::Anonymous, address("192.0.2.1")),
            (Caller::Anonymous, address("192.0.2.2")),
            (Caller::Anonymous, address("2001:db8::1")),
            (Caller::Anonymous, address("2001:db8:0:1::1")),
        ] {
            assert_eq!(rates.charge(&caller, peer, 10).unwrap(), Some(0), "{caller:?}");
        }
        // The same user by another identity and from elsewhere, the same network, the same address written differently.
        assert!(rates.charge(&user(Some(1), "wallet"), address("192.0.2.9"), 9).is_err());
        assert!(rates.charge(&Caller::Anonymous, address("2001:db8::2"), 9).is_err());
        assert!(rates.charge(&Caller::Anonymous, address("::ffff:192.0.2.1"), 9).is_err());
    }

    #[test]
    fn wallets_that_only_their_owners_know_of_share_the_bucket_of_their_address() {
        let rates = rates(&TEN);
        let wallet = |id, name: &str| match user(id, name) {
            Caller::User(player) => Caller::User(Player { member: false, provider: "ethereum".to_owned(), ..player }),
            other => other,
        };
        assert_eq!(rates.charge(&wallet(None, "0x1"), address("192.0.2.1"), 4).unwrap(), Some(6));
        assert_eq!(rates.charge(&wallet(Some(1), "0x2"), address("192.0.2.1"), 4).unwrap(), Some(2));
        assert!(rates.charge(&wallet(None, "0x3"), address("192.0.2.1"), 4).is_err());
        assert!(rates.charge(&Caller::Anonymous, address("192.0.2.1"), 4).is_err());
        assert_eq!(rates.charge(&wallet(None, "0x3"), address("192.0.2.2"), 4).unwrap(), Some(6));
        assert_eq!(rates.charge(&user(Some(1), "0x2"), address("192.0.2.1"), 4).unwrap(), Some(6));
    }

    #[test]
    fn apps_have_a_rate_of_their_own_and_none_unless_it_is_set() {
        let free = rates(&TEN);
        assert_eq!(free.charge(&app(1), None, u64::MAX).unwrap(), None);
        let bound = rates(&[("WAYMARK_APP_RATE_PER_SECOND", "2"), ("WAYMARK_RATE_PER_SECOND", "0")]);
        assert_eq!(bound.charge(&app(1), None, 20).unwrap(), Some(100));
        assert_eq!(bound.charge(&user(Some(1), "ada"), None, u64::MAX).unwrap(), None);
    }

    #[test]
    fn what_was_done_already_is_owed_where_it_is_not_in_the_bucket() {
        let (rates, ada) = (rates(&TEN), user(Some(1), "ada"));
        rates.owe(&ada, None, 4);
        assert_eq!(rates.charge(&ada, None, 1).unwrap(), Some(5));
        rates.owe(&ada, None, 8);
        let refused = rates.charge(&ada, None, 1).unwrap_err();
        assert!((3..=5).contains(&refused.retry_after().unwrap()), "{refused:?}");
        rates.owe(&ada, None, u64::MAX);
        let most = rates.charge(&ada, None, 1).unwrap_err();
        assert!((10..=12).contains(&most.retry_after().unwrap()), "nobody waits for ever: {most:?}");
        assert_eq!(rates.charge(&user(Some(2), "eve"), None, 10).unwrap(), Some(0));
    }

    #[test]
    fn an_address_whose_credentials_were_refused_has_to_wait() {
        let settings = [("WAYMARK_RATE_PER_SECOND", "10"), ("WAYMARK_RATE_BURST_SECONDS", "30")];
        let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let refusals = Refusals::from_config(&Config::from_sources(None, settings).unwrap());
        let (here, there) = (address("192.0.2.1"), address("192.0.2.2"));
        assert!(refusals.check(here).is_ok());
        refusals.refused(here, 29);
        assert!(refusals.check(here).is_ok());
        refusals.refused(here, 8);
        let refused = refusals.check(here).unwrap_err();
        assert_eq!(refused.code(), Code::RateLimited);
        assert!((1..=8).contains(&refused.retry_after().unwrap()), "{refused:?}");
        assert!(refusals.check(there).is_ok() && refusals.check(None).is_ok());
    }

    #[test]
    fn a_flood_of_addresses_takes_a_bounded_amount_of_memory() {
        let rates = rates(&TEN);
        for number in 0..200_000_u32 {
            rates.charge(&Caller::Anonymous, Some(std::net::Ipv4Addr::from_bits(number).into()), 1).unwrap();
        }
        let buckets = &rates.people.as_ref().unwrap().buckets;
        buckets.run_pending_tasks();
        assert!(buckets.entry_count() <= MOST_KEPT, "{}", buckets.entry_count());
    }
}
