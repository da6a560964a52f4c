//! How much a caller may ask for in a time: a bucket of tokens for each, charged by what requests cost.
//!
//! A bucket fills at a steady rate up to what it holds, and a request takes out what it costs. A user has one bucket,
//! whatever credential they show, an API key has one, and without a credential the address has one: a whole /64 of IPv6,
//! which is what one customer of a provider gets. As many buckets are kept as [`MOST_KEPT`] says, those in use before others.

use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use governor::clock::{Clock as _, DefaultClock};
use governor::middleware::StateInformationMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};

use super::Caller;
use crate::config::Config;
use crate::error::{Error, Result};

/// How many buckets of a kind are kept; each takes about 200 bytes.
const MOST_KEPT: u64 = 50_000;

/// The buckets of all callers.
#[derive(Debug)]
pub(crate) struct Rates {
    people: Option<Buckets>,
    apps: Option<Buckets>,
}

#[derive(Debug)]
struct Buckets {
    quota: Quota,
    clock: DefaultClock,
    buckets: moka::sync::Cache<Key, Arc<Bucket>>,
}

type Bucket = RateLimiter<NotKeyed, InMemoryState, DefaultClock, StateInformationMiddleware>;

/// Whose bucket it is.
#[derive(Debug, PartialEq, Eq, Hash)]
enum Key {
    User(i64),
    /// Somebody who has no user yet: provider and identity.
    Stranger(String),
    App(i64),
    /// Nobody in particular, at this address where it is known.
    Address(Option<IpAddr>),
}

impl Key {
    fn of(caller: &Caller, peer: Option<IpAddr>) -> Self {
        match caller {
            Caller::User(player) => {
                player.user.map_or_else(|| Self::Stranger(caller.principal()), |id| Self::User(id.0))
            }
            Caller::App(key) => Self::App(key.id),
            Caller::Anonymous => Self::Address(peer.map(network)),
        }
    }
}

/// The address, or the network of 64 bits to which it belongs.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        v4 => v4,
    }
}

impl Rates {
    /// Empty books, with the rates of `config`.
    pub(crate) fn from_config(config: &Config) -> Self {
        let buckets = |rate: u32| Buckets::new(rate, config.rate_burst_seconds);
        Self { people: buckets(config.rate_per_second), apps: buckets(config.app_rate_per_second) }
    }

    /// Takes `cost` out of the caller's bucket, and says how much is left; `None` where the rate is not limited. What costs
    /// more than a bucket holds takes a full one.
    ///
    /// # Errors
    /// [`Code::RateLimited`](crate::error::Code::RateLimited) with the time to wait, when there is not so much in it.
    pub(crate) fn charge(&self, caller: &Caller, peer: Option<IpAddr>, cost: u64) -> Result<Option<u32>> {
        let buckets = if matches!(caller, Caller::App(_)) { &self.apps } else { &self.people };
        buckets.as_ref().map(|buckets| buckets.charge(Key::of(caller, peer), cost)).transpose()
    }
}

impl Buckets {
    fn new(rate: u32, seconds: u32) -> Option<Self> {
        let rate = NonZeroU32::new(rate)?;
        let quota = Quota::per_second(rate).allow_burst(rate.saturating_mul(NonZeroU32::new(seconds)?));
        // A bucket that nobody has touched for so long is full, and as good as a new one.
        let full = Duration::from_secs(u64::from(seconds) + 1);
        let buckets = moka::sync::Cache::builder().max_capacity(MOST_KEPT).time_to_idle(full).build();
        Some(Self { quota, clock: DefaultClock::default(), buckets })
    }

    fn charge(&self, key: Key, cost: u64) -> Result<u32> {
        let bucket = self.buckets.get_with(key, || {
            Arc::new(RateLimiter::direct_with_clock(self.quota, self.clock.clone()).with_middleware())
        });
        let most = self.quota.burst_size();
        let tokens = u32::try_from(cost).unwrap_or(u32::MAX).min(most.get());
        let tokens = NonZeroU32::new(tokens).unwrap_or(NonZeroU32::MIN);
        match bucket.check_n(tokens) {
            Ok(Ok(state)) => Ok(state.remaining_burst_capacity()),
            Ok(Err(refused)) => {
                let wait = refused.wait_time_from(self.clock.now());
                let seconds = u32::try_from(wait.as_secs()).unwrap_or(u32::MAX).saturating_add(1);
                Err(Error::rate_limited(seconds))
            }
            // Not more was asked for than a bucket holds.
            Err(_) => Err(Error::rate_limited(1)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::{AppKey, Player, UserId};
    use crate::error::Code;

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
    fn apps_have_a_rate_of_their_own_and_none_unless_it_is_set() {
        let free = rates(&TEN);
        assert_eq!(free.charge(&app(1), None, u64::MAX).unwrap(), None);
        let bound = rates(&[("WAYMARK_APP_RATE_PER_SECOND", "2"), ("WAYMARK_RATE_PER_SECOND", "0")]);
        assert_eq!(bound.charge(&app(1), None, 20).unwrap(), Some(100));
        assert_eq!(bound.charge(&user(Some(1), "ada"), None, u64::MAX).unwrap(), None);
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
