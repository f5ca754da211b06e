//! Errors as SQL Server words them.

/// An error that a client is told.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SqlFault {
    pub(crate) number: i32,
    pub(crate) class: u8,
    pub(crate) state: u8,
    pub(crate) message: String,
    /// The procedure in which it was raised.
    pub(crate) procedure: String,
    /// What becomes of the work.
    pub(crate) reach: Reach,
}

/// How far an error reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reach {
    /// The statement; the batch goes on.
    Statement,
    /// The batch.
    Batch,
    /// The batch and its transaction.
    Transaction,
    /// The session.
    Session,
}

impl SqlFault {
    /// One that ends the batch.
    pub(crate) fn new(number: i32, message: impl Into<String>) -> SqlFault {
        let (message, procedure) = (message.into(), String::new());
        SqlFault { number, class: 16, state: 1, message, procedure, reach: Reach::Batch }
    }

    pub(crate) fn class(self, class: u8) -> SqlFault {
        SqlFault { class, ..self }
    }

    pub(crate) fn reaching(self, reach: Reach) -> SqlFault {
        SqlFault { reach, ..self }
    }

    /// A statement that cannot be understood, near a word.
    pub(crate) fn syntax(near: &str) -> SqlFault {
        SqlFault::new(102, format!("Incorrect syntax near '{near}'.")).class(15)
    }

    pub(crate) fn truncated() -> SqlFault {
        SqlFault::new(8152, "String or binary data would be truncated.")
    }

    pub(crate) fn deadlock(spid: u16) -> SqlFault {
        let message = format!(
            "Transaction (Process ID {spid}) was deadlocked on lock resources with another process and has been chosen \
             as the deadlock victim. Rerun the transaction."
        );
        SqlFault { state: 51, ..SqlFault::new(1205, message).class(13).reaching(Reach::Transaction) }
    }

    pub(crate) fn killed() -> SqlFault {
        let message = "Cannot continue the execution because the session is in the kill state.";
        SqlFault::new(596, message).class(21).reaching(Reach::Session)
    }
}
