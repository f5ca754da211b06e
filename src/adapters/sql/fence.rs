//! Proof that work has ended whose end nobody saw.
//!
//! A connection that is lost, or given up, while a commit is under way leaves a session behind that goes on: the commit
//! may take effect a second later, or an hour. Whoever asks the data meanwhile finds nothing, and would do the work once
//! more; then both take effect. Waiting does not help, since no time is long enough. So the work carries a fence: a lock
//! in the database, under a name of the work's own, that its session takes before it does anything, and that the database
//! itself takes back when the transaction (or, without one, the session) is over. Databases do so only when what was
//! committed can be seen. So where the lock is free, nothing of the work is to come, and what the data say is the truth.
//!
//! It holds whatever ended: our call, our process (the name is that of the operation, which is kept), the network. Numbers
//! of sessions would prove less: they are given anew, they would have to be kept before the call, and to see those of others
//! takes rights that an account seldom has. Locks need no rights:
//!
//! - PostgreSQL: `pg_advisory_xact_lock`, released behind the commit's becoming visible (PostgreSQL, "Advisory Locks").
//! - SQL Server: `sp_getapplock`, owned by the transaction or the session; `APPLOCK_TEST` looks at it.
//! - MariaDB, MySQL: `GET_LOCK`, owned by the session, which is released when the session has undone or finished its work.
//!   A node of a Galera cluster knows its own locks alone: there nothing is proven.
//! - SQLite works in our own threads: what they have come back from is over, and so is what a process did that has ended.
//!
//! Of other databases nothing is proven: what became of the work stays unknown until it is found done, or a person has seen
//! to it.

use super::Dialect;
use crate::record::ContentHash;

/// The name of a piece of work, under which its database can tell whether it has ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Fence(String);

/// What is known of work whose end nobody saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Nothing of it is to come any more.
    Yes,
    /// It goes on.
    No,
    /// This database cannot tell.
    Unknowable,
}

impl Fence {
    /// Of the work with this id. Other characters than those of an id are left out: it is written into statements.
    pub fn new(id: &str) -> Fence {
        let id: String = id.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').take(48).collect();
        Fence(format!("tollbridge:{id}"))
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.0
    }

    /// The statement that takes the lock: a row with 1 where it got it. It is done in the work's transaction where there
    /// is one.
    pub(in crate::adapters) fn take(&self, dialect: Dialect, is_atomic: bool) -> Option<String> {
        let name = &self.0;
        match (dialect, is_atomic) {
            (Dialect::Postgres, true) => {
                Some(format!("select case when pg_try_advisory_xact_lock({}) then 1 else 0 end", self.number()))
            }
            (Dialect::Postgres, false) => {
                Some(format!("select case when pg_try_advisory_lock({}) then 1 else 0 end", self.number()))
            }
            (Dialect::MySql, _) => Some(format!("select get_lock('{name}', 0)")),
            (Dialect::SqlServer, is_atomic) => Some(format!(
                "SET NOCOUNT ON; DECLARE @fence int; EXEC @fence = sp_getapplock @Resource = N'{name}', @LockMode = \
                 N'Exclusive', @LockOwner = N'{}', @LockTimeout = 0; SET NOCOUNT OFF; SELECT CASE WHEN @fence >= 0 THEN 1 \
                 ELSE 0 END",
                if is_atomic { "Transaction" } else { "Session" }
            )),
            _ => None,
        }
    }

    /// The statement that gives it back, where the end of the work does not.
    pub(in crate::adapters) fn release(&self, dialect: Dialect, is_atomic: bool) -> Option<String> {
        let name = &self.0;
        match (dialect, is_atomic) {
            (Dialect::Postgres, false) => Some(format!("select pg_advisory_unlock({})", self.number())),
            (Dialect::MySql, _) => Some(format!("select release_lock('{name}')")),
            (Dialect::SqlServer, false) => {
                // Where it did not get the lock, there is nothing to give back.
                Some(format!(
                    "BEGIN TRY EXEC sp_releaseapplock @Resource = N'{name}', @LockOwner = N'Session' END TRY BEGIN CATCH \
                     END CATCH"
                ))
            }
            _ => None,
        }
    }

    /// The question whether it is free: a row with 1 if so.
    pub(in crate::adapters) fn probe(&self, dialect: Dialect) -> Option<String> {
        let name = &self.0;
        match dialect {
            // Whoever looks must not hold it for a moment: work that begins meanwhile would not get it. Of a number's two
            // halves one is in each column (PostgreSQL, "pg_locks").
            Dialect::Postgres => {
                let number = self.number().cast_unsigned();
                let (high, low) = (number >> 32, number & 0xFFFF_FFFF);
                Some(format!(
                    "select case when exists (select 1 from pg_catalog.pg_locks l join pg_catalog.pg_database d on \
                     d.oid = l.database where d.datname = current_database() and l.locktype = 'advisory' and \
                     l.classid = '{high}'::oid and l.objid = '{low}'::oid and l.objsubid = 1 and l.granted) then 0 \
                     else 1 end"
                ))
            }
            Dialect::MySql => Some(format!("select is_free_lock('{name}')")),
            Dialect::SqlServer => Some(format!("select applock_test(N'public', N'{name}', N'Exclusive', N'Session')")),
            _ => None,
        }
    }

    /// PostgreSQL's locks are numbers. Should two names meet in one, the work that is over may seem to go on.
    fn number(&self) -> i64 {
        let [a, b, c, d, e, f, g, h, ..] = ContentHash::of(self.0.as_bytes()).0;
        i64::from_be_bytes([a, b, c, d, e, f, g, h])
    }
}

#[cfg(test)]
mod tests {
    use super::Fence;
    use crate::adapters::sql::Dialect;

    #[test]
    fn a_name_cannot_break_out_of_its_statement() {
        let fence = Fence::new("0197f7a2-0000'; shutdown; --");
        assert_eq!(fence.name(), "tollbridge:0197f7a2-0000shutdown--");
        assert!(Fence::new(&"a".repeat(500)).name().len() <= 64, "MariaDB's names have 64 characters");
        let take = fence.take(Dialect::MySql, true).unwrap();
        assert_eq!(take, "select get_lock('tollbridge:0197f7a2-0000shutdown--', 0)");
    }

    #[test]
    fn works_have_locks_of_their_own() {
        let of = |id: &str| Fence::new(id).take(Dialect::Postgres, true).unwrap();
        assert_eq!(of("a"), of("a"));
        assert_ne!(of("a"), of("b"));
        for dialect in [Dialect::Sqlite, Dialect::Oracle, Dialect::Generic] {
            assert_eq!(Fence::new("a").probe(dialect), None);
        }
    }
}
