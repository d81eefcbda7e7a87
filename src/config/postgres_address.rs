//! The parts of an address of Postgres: whether they are right, and what of them may be shown.

use super::near::nearest;

/// What addresses of Postgres begin with.
const PREFIXES: [&str; 2] = ["postgres://", "postgresql://"];

/// What is shown in place of a password.
pub(super) const HIDDEN: &str = "(hidden)";

/// The parameter that is a password.
const PASSWORD: &str = "password";

/// The parameters: `schema`, and what sqlx-postgres 0.9 reads (`options/parse.rs` there), which passes over others in silence.
const PARAMETERS: [&str; 19] = [
    "schema",
    "sslmode",
    "sslrootcert",
    "sslcert",
    "sslkey",
    "host",
    "hostaddr",
    "port",
    "user",
    PASSWORD,
    "dbname",
    "application_name",
    "options",
    "statement-cache-capacity",
    "ssl-mode",
    "ssl-root-cert",
    "ssl-ca",
    "ssl-cert",
    "ssl-key",
];

/// The parameters that say whether connections are encrypted.
const SSL_MODE: [&str; 2] = ["sslmode", "ssl-mode"];

/// What they may be.
const SSL_MODES: [&str; 6] = ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"];

/// How to write what cuts an address into its parts.
const ENCODING: &str =
    "in a name or password '/' is written %2F, '#' %23, '?' %3F, '@' %40, ':' %3A and '%' %25";

/// An address of Postgres, taken apart as a URL.
pub(super) struct PostgresAddress<'a> {
    prefix: &'static str,
    /// With the password.
    user: Option<&'a str>,
    /// With the port.
    host: &'a str,
    /// With the slash before it.
    database: &'a str,
    /// Names and values; without a value where there is no equals sign.
    parameters: Vec<(&'a str, Option<&'a str>)>,
}

/// Whether `text` is meant to be an address of Postgres.
pub(super) fn is_meant(text: &str) -> bool {
    PREFIXES.iter().any(|prefix| text.len() > prefix.len() && text.starts_with(prefix))
}

impl<'a> PostgresAddress<'a> {
    /// Takes an address apart; `None` where a password may be cut into other parts, by a `/`, `?`, `#` or `@` in it.
    pub(super) fn split(text: &'a str) -> Option<Self> {
        let (prefix, rest) =
            PREFIXES.iter().find_map(|prefix| Some((*prefix, text.strip_prefix(prefix)?)))?;
        let (authority, rest) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        let (user, host) = match authority.rsplit_once('@') {
            Some((user, host)) => (Some(user), host),
            None => (None, authority),
        };
        let (database, query) = rest.split_once('?').unwrap_or((rest, ""));
        let parameters = query.split('&').filter(|parameter| !parameter.is_empty());
        let parameters: Vec<_> = parameters
            .map(|parameter| match parameter.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (parameter, None),
            })
            .collect();
        let is_whole = !rest.contains(['@', '#'])
            && is_host(host)
            && parameters.iter().all(|(name, _)| is_made_of(name, "-_[]."));
        is_whole.then_some(Self { prefix, user, host, database, parameters })
    }

    fn check(&self) -> Result<(), String> {
        for (name, value) in &self.parameters {
            if !is_parameter(name) {
                return Err(match value {
                    Some(_) => unknown(name),
                    None => format!("behind the '?' stands what is no name=value; {ENCODING}"),
                });
            }
            let Some(value) = value else { return Err(format!("the parameter {name} has no value")) };
            let is_mode = SSL_MODES.iter().any(|mode| mode.eq_ignore_ascii_case(value));
            if SSL_MODE.contains(name) && !is_mode {
                let value = or_hidden(value, "-_");
                return Err(format!("{name} cannot be {value}: allowed are {}", SSL_MODES.join(", ")));
            }
        }
        Ok(())
    }

    /// The address for people.
    fn shown(&self) -> String {
        let user = match self.user.map(|user| user.split_once(':').ok_or(user)) {
            None => String::new(),
            Some(Ok((user, _))) => format!("{}:{HIDDEN}@", or_hidden(user, "-_.+")),
            Some(Err(user)) => format!("{}@", or_hidden(user, "-_.+")),
        };
        let mut text = format!("{}{user}{}{}", self.prefix, self.host, self.database);
        for (at, (name, value)) in self.parameters.iter().enumerate() {
            text.push(if at == 0 { '?' } else { '&' });
            match value {
                None => text.push_str(HIDDEN),
                Some(value) if is_parameter(name) && *name != PASSWORD => {
                    text.push_str(&format!("{name}={}", or_hidden(value, "-_.~/%,:[]")));
                }
                Some(_) => text.push_str(&format!("{name}={HIDDEN}")),
            }
        }
        text
    }
}

/// Whether an address of Postgres has the form of one, and parameters that exist.
///
/// # Errors
/// What is wrong, what was probably meant and what is allowed; nothing of a password is in it.
pub(super) fn check(text: &str) -> Result<(), String> {
    let address = PostgresAddress::split(text);
    let address = address.ok_or_else(|| format!("host and port cannot be told from the rest: {ENCODING}"))?;
    address.check()
}

fn unknown(name: &str) -> String {
    let near = nearest(name, PARAMETERS.into_iter());
    let near = near.map_or_else(String::new, |near| format!(" did you mean {near}?"));
    let allowed = PARAMETERS.join(", ");
    format!("an address of Postgres has no parameter {name}:{near} allowed are {allowed} and options[name]")
}

/// An address of Postgres for people: nothing of a password is in it.
pub(super) fn shown(text: &str) -> String {
    match PostgresAddress::split(text) {
        Some(address) => address.shown(),
        None => without_rest(text),
    }
}

/// What is no address, for people: nothing of what may be a password is in it.
pub(super) fn without_rest(text: &str) -> String {
    let scheme_end = text.find(|char: char| !char.is_ascii_alphanumeric()).unwrap_or(text.len());
    let (scheme, rest) = text.split_at(scheme_end);
    let separator = ["://", ":/"].into_iter().find(|separator| rest.starts_with(separator));
    match separator {
        Some(separator) => format!("{scheme}{separator}{HIDDEN}"),
        None if rest.contains([':', '@', '=', '/']) => HIDDEN.to_owned(),
        None => text.to_owned(),
    }
}

fn is_parameter(name: &str) -> bool {
    PARAMETERS.contains(&name) || name.strip_prefix("options[").is_some_and(|rest| rest.ends_with(']'))
}

/// Whether it has the form of a host, with a port or without; nothing is looked up here. A socket's directory is written with `%2F`.
pub(super) fn is_host(text: &str) -> bool {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, port),
        _ => (text, ""),
    };
    let bracketed = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let is_host = match bracketed {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => is_made_of(host, "-_.%"),
    };
    is_host && (port.is_empty() || is_made_of(port, "") && port.parse::<u16>().is_ok())
}

/// Whether `text` has only letters, digits and `others`.
fn is_made_of(text: &str, others: &str) -> bool {
    text.chars().all(|char| char.is_alphanumeric() || others.contains(char))
}

fn or_hidden<'t>(text: &'t str, others: &str) -> &'t str {
    if is_made_of(text, others) { text } else { HIDDEN }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_password_is_shown() {
        for (text, expected) in [
            ("postgres://h/base", "postgres://h/base"),
            ("postgres://u@h:5/base", "postgres://u@h:5/base"),
            ("postgres://u@[::1]:5/base", "postgres://u@[::1]:5/base"),
            ("postgres:///base?host=/run/pg", "postgres:///base?host=/run/pg"),
            ("postgres://u:SECRET@h/base?schema=b", "postgres://u:(hidden)@h/base?schema=b"),
            ("postgres://u:SEC:RET@SECRET@h", "postgres://u:(hidden)@h"),
            ("postgres://u%3ASECRET@h/base", "postgres://(hidden)@h/base"),
            (
                "postgres://q@h/db?sslmode=disable&password=SECRET",
                "postgres://q@h/db?sslmode=disable&password=(hidden)",
            ),
            ("postgres://q@h/db?passwrd=SECRET&", "postgres://q@h/db?passwrd=(hidden)"),
            ("postgres://q@h/db?pass%77ord=SECRET", "postgres://(hidden)"),
            ("postgres://q@h/db?password=a&SECRET", "postgres://q@h/db?password=(hidden)&(hidden)"),
            ("postgres://q@h/db?sslmode=disable?password=SECRET", "postgres://q@h/db?sslmode=(hidden)"),
            ("postgresql://u:SE/CR@ET@h/base", "postgresql://(hidden)"),
            ("postgres://u:1/SECRET@h/base", "postgres://(hidden)"),
            ("postgres://u:1#SECRET@h/base", "postgres://(hidden)"),
            ("postgres://u:1?SECRET@h/base", "postgres://(hidden)"),
            ("postgres://u:SECRET/base", "postgres://(hidden)"),
        ] {
            assert_eq!(shown(text), expected, "{text}");
        }
    }

    #[test]
    fn parameters_that_exist_are_allowed() {
        for name in PARAMETERS.into_iter().filter(|name| !SSL_MODE.contains(name)) {
            assert_eq!(
                check(&format!("postgres://u:p%2F@h:5/b?{name}=1&sslmode=Verify-Full&options[a]=b")),
                Ok(())
            );
        }
        for text in [
            "postgres://h",
            "postgres:///b?host=/run/pg",
            "postgres://u@%2Frun%2Fpg/b?&",
            "postgres://[::1]:5/b",
        ] {
            assert_eq!(check(text), Ok(()), "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_named_with_what_is_allowed() {
        for (text, expected) in [
            (
                "postgres://q@h/db?shcema=quotad",
                "has no parameter shcema: did you mean schema? allowed are schema, sslmode,",
            ),
            (
                "postgres://q@h/db?schema=a&sslmod=verify-full",
                "has no parameter sslmod: did you mean sslmode? allowed are",
            ),
            ("postgres://q@h/db?colour=blue", "has no parameter colour: allowed are"),
            ("postgres://q@h/db?schema", "the parameter schema has no value"),
            ("postgres://q@h/db?password=a&SECRET", "behind the '?' stands what is no name=value"),
            (
                "postgres://q@h/db?sslmode=verify",
                "sslmode cannot be verify: allowed are disable, allow, prefer, require, verify-ca, verify-full",
            ),
            (
                "postgres://q@h/db?ssl-mode=disable?password=SECRET",
                "ssl-mode cannot be (hidden): allowed are disable",
            ),
            ("postgres://q:SECRET/@h/db", "'/' is written %2F, '#' %23,"),
            ("postgres://q:1#SECRET@h/db", "host and port cannot be told"),
            ("postgres://q@h:port/db", "host and port cannot be told"),
            ("postgres://q@h:65536/db", "host and port cannot be told"),
        ] {
            let error = check(text).unwrap_err();
            assert!(error.contains(expected) && !error.contains("SECRET"), "{text}: {error}");
        }
    }

    #[test]
    fn of_what_is_no_address_only_the_scheme_is_shown() {
        for (text, expected) in [
            ("postgres:/q:SECRET@h/db", "postgres:/(hidden)"),
            ("postgre://u:SECRET@h/b", "postgre://(hidden)"),
            ("q:SECRET@h/db", "(hidden)"),
            ("host=h password=SECRET", "(hidden)"),
            ("[\"postgres://u:SECRET@h/b\"]", "(hidden)"),
            ("sqlit", "sqlit"),
            ("", ""),
        ] {
            assert_eq!(without_rest(text), expected, "{text}");
        }
    }
}
