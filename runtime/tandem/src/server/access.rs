//! Who may ask for what: bearer tokens (RFC 6750) and their roles.
//!
//! Without a file of tokens everybody may read and write, and the server listens on this machine alone unless that is allowed on purpose.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use axum::http::{HeaderMap, Method, header};

use super::feast;
use super::guard;
use super::problem::{Kind, Problem};
use crate::error::Error;
use crate::tokens::{Role, Tokens};
use crate::watched::Watched;

/// Member of the problem of a missing role.
pub(super) const ROLE: &str = "role";

/// Member of the same problem: whose token it is.
pub(super) const TOKEN: &str = "token";

/// The tokens that a server knows. They may be read again at any time.
#[derive(Debug)]
pub struct Access {
    path: PathBuf,
    tokens: RwLock<Arc<Tokens>>,
    file: Watched,
}

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Caller {
    /// The token's name; none where there are no tokens, or the route needs none.
    pub(super) name: Option<String>,
    /// Whether the token is an admin's, who may set `as_of`.
    pub(super) is_admin: bool,
}

impl Access {
    /// Reads the file.
    ///
    /// # Errors
    ///
    /// It cannot be read, or is none.
    pub fn open(path: &Path) -> Result<Access, Error> {
        let file = Watched::new([path.to_owned()]);
        let tokens = Tokens::read(path)?;
        Ok(Access { path: path.to_owned(), tokens: RwLock::new(Arc::new(tokens)), file })
    }

    /// Whether there is no token, so that nobody may ask.
    pub fn knows_nobody(&self) -> bool {
        self.tokens.read().unwrap_or_else(PoisonError::into_inner).all().is_empty()
    }

    /// Reads the file again if it changed. What cannot be read changes nothing, and is told in the log.
    pub fn follow(&self) {
        if self.file.changed() {
            self.reload();
        }
    }

    /// Reads the file again.
    pub fn reload(&self) {
        match Tokens::read(&self.path) {
            Ok(tokens) => {
                tracing::info!(tokens = tokens.all().len(), "the tokens were read again");
                *self.tokens.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(tokens);
            }
            Err(error) => tracing::error!(%error, "the tokens cannot be read again; those of before stay"),
        }
    }

    /// Who asks, if whoever it is may ask this.
    pub(super) fn check(&self, method: &Method, route: &str, headers: &HeaderMap) -> Result<Caller, Problem> {
        let Some(needed) = needed(method, route) else { return Ok(Caller::default()) };
        let text = bearer(headers)?;
        let tokens = Arc::clone(&self.tokens.read().unwrap_or_else(PoisonError::into_inner));
        let token = tokens.find(text).ok_or_else(|| {
            Problem::new(Kind::InvalidToken, "the token is not known here")
                .hint("it may have been revoked; `tandem token new` makes another")
        })?;
        if !token.allows(needed) {
            let roles: Vec<&str> = token.roles.iter().map(|role| role.as_str()).collect();
            let (name, has) = (&token.name, roles.join(", "));
            let detail = format!("{method} {route} needs the role {needed}; token `{name}` has {has}");
            let problem = Problem::new(Kind::Forbidden, detail).with(ROLE, needed.as_str()).with(TOKEN, name.as_str());
            return Err(problem.hint(format!("`tandem token new --role {needed}` makes one that may")));
        }
        Ok(Caller { name: Some(token.name.clone()), is_admin: token.allows(Role::Admin) })
    }
}

/// The role that a route needs; None: it is open. What is not named here needs all rights, so that a new route is never open by oversight.
pub(super) fn needed(method: &Method, route: &str) -> Option<Role> {
    // Those who ask these carry no tokens: probes of a process manager and of a load balancer.
    if [guard::HEALTH, guard::READY].contains(&route) {
        return None;
    }
    Some(match route {
        guard::METRICS => Role::Metrics,
        "/v1/transforms/{name}" | "/v1/features" | "/v1/services/{name}" | feast::GET_ONLINE_FEATURES => Role::Read,
        "/openapi.json" => Role::Read,
        "/v1/push/{name}"
        | feast::PUSH
        | feast::WRITE_TO_ONLINE_STORE
        | feast::MATERIALIZE
        | feast::MATERIALIZE_INCREMENTAL => Role::Write,
        // What there is not is told to whoever may ask at all.
        guard::UNMATCHED => Role::Read,
        _ if matches!(*method, Method::GET | Method::HEAD) => Role::Read,
        _ => Role::Admin,
    })
}

/// The token of `Authorization: Bearer`.
fn bearer(headers: &HeaderMap) -> Result<&str, Problem> {
    let missing = |detail: &str| {
        Problem::new(Kind::Unauthenticated, detail)
            .hint("send the header `Authorization: Bearer` with a token; `tandem token new` makes one")
    };
    let value = headers.get(header::AUTHORIZATION).ok_or_else(|| missing("the request has no token"))?;
    let text = value.to_str().map_err(|_| missing("the header Authorization is not text"))?;
    match text.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Ok(token.trim()),
        _ => Err(missing("the header Authorization is not `Bearer` and a token")),
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;
    use tandem_core::time::Timestamp;

    use super::*;
    use crate::tokens::{add, revoke};

    fn headers(value: &str) -> HeaderMap {
        HeaderMap::from_iter([(header::AUTHORIZATION, HeaderValue::from_str(value).unwrap())])
    }

    #[test]
    fn a_token_is_asked_for_its_role() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokens");
        let make = |name: &str, roles: &[Role]| add(&path, name, roles, Timestamp(0)).unwrap();
        let (reader, admin) = (make("reader", &[Role::Read]), make("admin", &[Role::Admin]));
        let access = Access::open(&path).unwrap();
        let check = |route: &str, value: &str| access.check(&Method::POST, route, &headers(value));
        let kind = |route: &str, value: &str| check(route, value).unwrap_err().kind;

        let caller = check("/v1/features", &format!("Bearer {reader}")).unwrap();
        assert_eq!(caller, Caller { name: Some("reader".to_owned()), is_admin: false });
        assert!(check("/v1/push/{name}", &format!("bearer  {admin}")).unwrap().is_admin);
        let forbidden = check("/v1/push/{name}", &format!("Bearer {reader}")).unwrap_err();
        assert_eq!(forbidden.kind, Kind::Forbidden);
        assert_eq!(forbidden.detail, "POST /v1/push/{name} needs the role write; token `reader` has read");
        assert_eq!(kind("/v1/features", "Bearer tandem_00"), Kind::InvalidToken);
        assert_eq!(kind("/v1/features", "Bearer "), Kind::InvalidToken);
        assert_eq!(kind("/v1/features", &reader), Kind::Unauthenticated);
        assert_eq!(kind("/v1/features", &format!("Basic {reader}")), Kind::Unauthenticated);
        let open = access.check(&Method::GET, guard::HEALTH, &HeaderMap::new());
        assert_eq!(open, Ok(Caller::default()), "probes carry no tokens");
        let none = access.check(&Method::GET, guard::METRICS, &HeaderMap::new()).unwrap_err();
        assert_eq!(none.kind, Kind::Unauthenticated);

        // A revoked token is gone as soon as the file is read again; a damaged file takes nobody's rights away, and gives none.
        revoke(&path, "reader").unwrap();
        access.follow();
        assert_eq!(kind("/v1/features", &format!("Bearer {reader}")), Kind::InvalidToken);
        std::fs::write(&path, "no tokens").unwrap();
        access.follow();
        assert!(check("/v1/features", &format!("Bearer {admin}")).is_ok());
    }

    #[test]
    fn what_is_not_named_is_never_open() {
        assert_eq!(needed(&Method::POST, "/v1/new"), Some(Role::Admin));
        assert_eq!(needed(&Method::DELETE, "/v1/views/{name}"), Some(Role::Admin));
        assert_eq!(needed(&Method::GET, "/v1/new"), Some(Role::Read));
    }

    /// The table of routes in `docs/reference/http.md` says of each which role it needs.
    #[test]
    fn every_route_and_its_role_are_in_the_reference() {
        let page = include_str!("../../../../docs/reference/http.md");
        let mut routes = 0;
        for row in page.lines().filter(|line| line.starts_with("| `GET /") || line.starts_with("| `POST /")) {
            let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
            for asked in cells[0].split(", ") {
                let (method, route) = asked.trim_matches('`').split_once(' ').unwrap();
                let method = Method::from_bytes(method.as_bytes()).unwrap();
                let role = needed(&method, route).map_or("none", Role::as_str);
                assert_eq!(cells[1], format!("`{role}`").replace("`none`", "none"), "{row}");
                routes += 1;
            }
        }
        let code = include_str!("../server.rs").matches(".route(").count();
        assert_eq!(routes, code, "routes on the page and in the code");
    }
}
