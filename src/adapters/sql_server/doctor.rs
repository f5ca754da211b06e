//! A diagnosis: the way to the server step by step, until one fails.

use std::future::Future;

use tokio::time::{Instant, timeout};

use super::config::{Config, Encryption};
use super::connect::{self, Behind, Connection, GoesOn};
use super::exchange::{few, flag};
use super::line::Way;
use super::probe::{self, APART, OLDEST};
use super::watch::Watch;
use super::{fault, prelogin};
use crate::adapters::sql::{Certainty, Finding, SqlError, SqlErrorKind};

/// What was found, and how it went with the server.
#[derive(Default)]
pub(super) struct Diagnosis {
    pub(super) findings: Vec<Finding>,
    /// The first error, if there was one.
    pub(super) error: Option<SqlError>,
    /// A login that goes on although its time is over.
    pub(super) behind: Option<Behind>,
}

impl Diagnosis {
    fn well(&mut self, step: &'static str, said: impl Into<String>) {
        self.findings.push(Finding { step, said: said.into(), remedy: None, is_well: true });
    }

    fn doubt(&mut self, step: &'static str, said: String, remedy: &str) {
        self.findings.push(Finding { step, said, remedy: Some(remedy.to_owned()), is_well: false });
    }

    /// Ends it: what is wrong stands before the last `; `, what to do behind it.
    fn fail(&mut self, step: &'static str, error: SqlError) {
        let (said, remedy) = match error.message.split_once("; ") {
            Some((said, remedy)) => (said.to_owned(), Some(remedy.to_owned())),
            None => (error.message.clone(), None),
        };
        self.findings.push(Finding { step, said, remedy, is_well: false });
        self.error = Some(error);
    }

    /// The end of a step: what it gave, or nothing after its failure was noted.
    fn step<T>(&mut self, step: &'static str, ended: Result<T, SqlError>) -> Option<T> {
        match ended {
            Ok(done) => Some(done),
            Err(error) => {
                self.fail(step, error);
                None
            }
        }
    }
}

/// Looks from the name to the login.
pub(super) async fn reach(config: &Config, diagnosis: &mut Diagnosis) -> Option<Connection> {
    let addresses = diagnosis.step("resolve", within(config, connect::resolve(config)).await)?;
    let list = addresses.iter().map(|address| address.ip().to_string()).collect::<Vec<_>>().join(", ");
    diagnosis.well("resolve", format!("{} is {list}", config.host));
    let port = match config.port {
        Some(port) => port,
        None => {
            let port = diagnosis.step("browser", within(config, connect::port(config, &addresses)).await)?;
            let instance = config.instance.as_deref().unwrap_or_default();
            diagnosis.well("browser", format!("SQL Browser says that {instance} is at port {port}"));
            port
        }
    };
    let mut socket = diagnosis.step("connect", within(config, connect::dial(config, &addresses, port)).await)?;
    diagnosis.well("connect", format!("port {port} takes connections"));
    let greeting = within(config, connect::greet(config, &mut socket)).await;
    let greeting = diagnosis.step("greeting", greeting)?;
    diagnosis.well("greeting", format!("{} answers", prelogin::product(greeting.version)));
    let way = diagnosis.step("tls", within(config, connect::secure(config, socket, &greeting)).await)?;
    let said = match (&way, config.encryption) {
        (Way::Plain(_), _) => "nothing is encrypted, as it is written".to_owned(),
        (Way::Tls(stream), encryption) => {
            let version = stream.get_ref().1.protocol_version().and_then(|version| version.as_str().map(str::to_owned));
            let version = version.unwrap_or_else(|| "TLS".to_owned());
            let what = if encryption == Encryption::LoginOnly { "the login only, as it is written" } else { "all" };
            format!("{version} encrypts {what}")
        }
        (Way::Neither, _) => String::new(),
    };
    diagnosis.well("tls", said);
    let deadline = Instant::now() + config.connect_timeout;
    let login = connect::login(config, way, &greeting, port, deadline).await.map_err(|stop| {
        let told = stop.told(config);
        if let GoesOn::Login(behind) = told.goes_on {
            diagnosis.behind = Some(behind);
        }
        told.error
    });
    let connection = diagnosis.step("login", login)?;
    diagnosis.well("login", format!("{} is let in", config.login.who()));
    Some(connection)
}

/// Looks at what we may do, and at what there is.
pub(super) async fn look(
    config: &Config,
    connection: &mut Connection,
    watch: &mut Watch<'_>,
    diagnosis: &mut Diagnosis,
) {
    let place = config.place();
    let database = match probe::one(&place, connection, watch, "SELECT DB_NAME()").await {
        Ok(database) => database.unwrap_or_default(),
        Err(trouble) => return diagnosis.fail("database", trouble.into_error()),
    };
    diagnosis.well("database", format!("the database is {database}"));
    let server = match probe::probe(&place, connection, watch).await {
        Ok(server) => server,
        Err(trouble) => return diagnosis.fail("version", trouble.into_error()),
    };
    let rights = "SELECT HAS_PERMS_BY_NAME(NULL, 'DATABASE', 'SELECT'), \
                  (SELECT COUNT(*) FROM INFORMATION_SCHEMA.TABLES)";
    match few(&place, connection, watch, rights, &[]).await {
        Ok(rows) => {
            let tables = rows.first().and_then(|row| super::exchange::text(row, 1)).unwrap_or_default();
            match rows.first().and_then(|row| flag(row, 0)) {
                Some(false) if tables == "0" => diagnosis.doubt(
                    "rights",
                    format!("{} may read no table of {database}", config.login.who()),
                    "GRANT SELECT ON the tables TO the login's user, or ALTER ROLE db_datareader ADD MEMBER it",
                ),
                Some(true) => diagnosis.well("rights", "all tables may be read"),
                _ => diagnosis
                    .well("rights", format!("{tables} tables and views are seen; `inspect` looks at single ones")),
            }
        }
        Err(trouble) => return diagnosis.fail("rights", trouble.into_error()),
    }
    if connection.version.0 < OLDEST && connection.version.0 > 0 {
        diagnosis.doubt(
            "version",
            format!("{} is older than this door was made for (2012)", server.product),
            "update it, or reach it by `odbc` with FreeTDS",
        );
    } else {
        diagnosis.well("version", server.product);
    }
    diagnosis.well(
        "encoding",
        match server.encoding {
            Some(collation) => {
                format!("the database's collation is {collation}; each column's own is told by `inspect`")
            }
            None => "the database does not tell its collation".to_owned(),
        },
    );
    match server.clock_ahead_ms {
        Some(apart) if apart.abs() > APART => diagnosis.doubt(
            "clock",
            format!("the server's clock is {} ms {} ours", apart.abs(), if apart > 0 { "ahead of" } else { "behind" }),
            "let both machines take their time from the same servers (NTP); until then give watermarks of times an overlap",
        ),
        Some(apart) => diagnosis.well("clock", format!("the clocks are {} ms apart", apart.abs())),
        None => diagnosis.well("clock", "the server does not tell its time"),
    }
}

async fn within<T>(config: &Config, step: impl Future<Output = Result<T, SqlError>>) -> Result<T, SqlError> {
    let since = Instant::now();
    timeout(config.connect_timeout, step).await.unwrap_or_else(|_| {
        let said = format!(
            "nothing came for {} s; something is there that takes connections and says nothing: look at `port`, at firewalls \
             that hold connections open, and whether the server is overloaded",
            since.elapsed().as_secs()
        );
        Err(fault::own(&config.place(), SqlErrorKind::Unreachable, Certainty::NotBegun, said))
    })
}
