//! What the service manager is told: systemd's protocol of notifications ([`sd_notify(3)`]), a datagram to a socket that it names.
//!
//! [`sd_notify(3)`]: https://www.freedesktop.org/software/systemd/man/latest/sd_notify.html

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

/// The service manager, if one wants to be told. Cheap to ask where there is none.
#[derive(Debug)]
pub struct ServiceManager {
    socket: Option<UnixDatagram>,
    watchdog: Option<Duration>,
}

impl ServiceManager {
    /// As the environment names it: `NOTIFY_SOCKET`, `WATCHDOG_USEC`, `WATCHDOG_PID`.
    pub fn of_environment() -> ServiceManager {
        let variable = |name: &str| std::env::var_os(name);
        let text = |name: &str| variable(name).and_then(|value| value.into_string().ok());
        let socket = variable("NOTIFY_SOCKET").filter(|name| !name.is_empty()).and_then(|name| match connect(&name) {
            Ok(socket) => Some(socket),
            Err(error) => {
                tracing::warn!(socket = ?name, %error, "the service manager cannot be told anything");
                None
            }
        });
        let watchdog = watchdog(text("WATCHDOG_USEC").as_deref(), text("WATCHDOG_PID").as_deref(), std::process::id());
        ServiceManager { watchdog: watchdog.filter(|_| socket.is_some()), socket }
    }

    /// How often [`ServiceManager::alive`] should be called, if the manager watches.
    pub fn watchdog(&self) -> Option<Duration> {
        self.watchdog
    }

    /// Requests are taken now.
    pub fn ready(&self, status: &str) {
        self.tell(&format!("READY=1\nSTATUS={status}"));
    }

    /// The program is about to end.
    pub fn stopping(&self) {
        self.tell("STOPPING=1\nSTATUS=finishing what is under way");
    }

    /// It is not stuck.
    pub fn alive(&self) {
        self.tell("WATCHDOG=1");
    }

    fn tell(&self, state: &str) {
        let Some(socket) = &self.socket else { return };
        if let Err(error) = socket.send(state.as_bytes()) {
            tracing::warn!(%error, "the service manager cannot be told anything");
        }
    }
}

/// A path, or a name behind `@`.
fn connect(name: &OsStr) -> io::Result<UnixDatagram> {
    let socket = UnixDatagram::unbound()?;
    match name.as_bytes().strip_prefix(b"@") {
        Some(name) => socket.connect_addr(&by_name(name)?)?,
        None => socket.connect(name)?,
    }
    // A manager that does not read holds nothing up.
    socket.set_nonblocking(true)?;
    Ok(socket)
}

#[cfg(target_os = "linux")]
fn by_name(name: &[u8]) -> io::Result<SocketAddr> {
    use std::os::linux::net::SocketAddrExt;
    SocketAddr::from_abstract_name(name)
}

#[cfg(not(target_os = "linux"))]
fn by_name(_: &[u8]) -> io::Result<SocketAddr> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "only Linux has sockets without a path"))
}

/// Half of the time after which the manager takes the program for dead, if it is this one that it watches.
fn watchdog(micros: Option<&str>, of: Option<&str>, me: u32) -> Option<Duration> {
    if of.is_some_and(|of| of.parse() != Ok(me)) {
        return None;
    }
    let micros: u64 = micros?.parse().ok()?;
    (micros > 0).then(|| Duration::from_micros(micros) / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let manager = UnixDatagram::bind(&path).unwrap();
        let socket = connect(path.as_os_str()).unwrap();
        let service = ServiceManager { socket: Some(socket), watchdog: None };
        service.ready("listening");
        service.alive();
        service.stopping();
        let told = || {
            let mut buffer = [0; 256];
            let read = manager.recv(&mut buffer).unwrap();
            String::from_utf8(buffer[..read].to_vec()).unwrap()
        };
        assert_eq!(told(), "READY=1\nSTATUS=listening");
        assert_eq!(told(), "WATCHDOG=1");
        assert_eq!(told(), "STOPPING=1\nSTATUS=finishing what is under way");
        drop(manager);
        service.alive(); // nobody reads: told in the log, and nothing else
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_socket_may_have_a_name_alone() {
        let name = format!("tandem-test-{}", std::process::id());
        let manager = UnixDatagram::bind_addr(&by_name(name.as_bytes()).unwrap()).unwrap();
        let socket = connect(OsStr::new(&format!("@{name}"))).unwrap();
        ServiceManager { socket: Some(socket), watchdog: None }.alive();
        let mut buffer = [0; 64];
        assert_eq!(manager.recv(&mut buffer).unwrap(), "WATCHDOG=1".len());
        assert!(connect(OsStr::new("/nowhere/at/all")).is_err());
    }

    #[test]
    fn who_is_watched_says_so_twice_in_the_time() {
        assert_eq!(watchdog(Some("3000000"), None, 7), Some(Duration::from_millis(1_500)));
        assert_eq!(watchdog(Some("3000000"), Some("7"), 7), Some(Duration::from_millis(1_500)));
        for (micros, of) in [(Some("3000000"), Some("8")), (Some("0"), None), (Some("x"), None), (None, Some("7"))] {
            assert_eq!(watchdog(micros, of, 7), None, "{micros:?} {of:?}");
        }
    }
}
