//! Rows of a table with keys while they are edited: read by one statement, changed in memory, and stored by one.

use std::collections::{BTreeMap, HashMap, HashSet};

use sea_orm::ConnectionTrait;

use super::rows::{self, Row};
use waymark_kernel::error::Result;

/// The rows of some keys as they are and as they will be.
pub struct Edits<M> {
    key: fn(&M) -> &str,
    stored: HashMap<String, M>,
    /// The ids of those that are not there.
    new: HashMap<String, i64>,
    edited: BTreeMap<String, M>,
}

impl<M: Row> Edits<M> {
    /// Reads the rows of these keys; what is not there yet gets an id, in the order of the keys. `key` says which key a
    /// row has.
    pub async fn read<'a>(
        connection: &impl ConnectionTrait,
        keys: impl IntoIterator<Item = &'a str>,
        key: fn(&M) -> &str,
    ) -> Result<Self> {
        let mut seen = HashSet::new();
        let keys: Vec<&str> = keys.into_iter().filter(|key| seen.insert(*key)).collect();
        let found = rows::with_text::<M>(connection, "key", keys.iter().map(|key| (*key).to_owned()).collect()).await?;
        let stored: HashMap<String, M> = found.into_iter().map(|row| (key(&row).to_owned(), row)).collect();
        let new: Vec<&str> = keys.into_iter().filter(|key| !stored.contains_key(*key)).collect();
        let ids = rows::new_ids::<M>(connection, new.len()).await?;
        let new = new.into_iter().map(str::to_owned).zip(ids).collect();
        Ok(Self { key, stored, new, edited: BTreeMap::new() })
    }

    /// Returns the row of this key as it will be.
    pub fn get(&self, key: &str) -> Option<&M> {
        self.edited.get(key).or_else(|| self.stored.get(key))
    }

    /// Returns the row of this key as it is stored.
    pub fn before(&self, key: &str) -> Option<&M> {
        self.stored.get(key)
    }

    /// Returns the id of a row that is to be added under this key, which was among those that were read.
    pub fn new_id(&self, key: &str) -> i64 {
        self.new.get(key).copied().unwrap_or_default()
    }

    /// Puts a row in the place of that of its key.
    pub fn put(&mut self, row: M) {
        self.edited.insert((self.key)(&row).to_owned(), row);
    }

    /// Forgets what was put under this key, and puts what was there before that, if anything was.
    pub fn put_back(&mut self, key: &str, before: Option<M>) {
        self.edited.remove(key);
        before.into_iter().for_each(|row| self.put(row));
    }

    /// Goes through all rows as they will be.
    pub fn all(&self) -> impl Iterator<Item = &M> {
        self.stored
            .iter()
            .filter(|(key, _)| !self.edited.contains_key(*key))
            .map(|(_, row)| row)
            .chain(self.edited.values())
    }

    /// Stores the rows that were put.
    pub async fn store(&self, connection: &impl ConnectionTrait) -> Result<()> {
        let is_news = |row: &&M| self.before((self.key)(row)) != Some(*row);
        let rows: Vec<M> = self.edited.values().filter(is_news).cloned().collect();
        rows::store(connection, &rows).await
    }
}
