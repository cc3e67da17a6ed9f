//! Servers that cannot start: addresses and stores.

use std::fs;
use std::net::TcpListener;

use super::project::Project;
use crate::harness::transcript::Transcript;

#[test]
fn a_port_that_is_taken() {
    let project = Project::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let (_, notes) = project.told(&["serve", "--listen", &address, "--log", "error"], 1);
    assert_eq!(
        notes,
        format!(
            "error: cannot listen on {address}: Address already in use (os error 98)\n\
             hint: another program has the port; choose one with --listen\n"
        )
    );
    drop(taken);
}

#[test]
fn addresses_and_stores() {
    let project = Project::new();
    let mut said = Transcript::new(project.root());
    let quiet = ["--log", "error"];

    said.note("an address of another machine (192.0.2.0/24 is nobody's)");
    said.run(&[&["serve", "--listen", "192.0.2.1:8080"][..], &quiet].concat(), 2);
    said.run(&[&["serve", "--listen", "192.0.2.1:8080", "--allow-unauthenticated"][..], &quiet].concat(), 1);
    said.note("no address");
    said.run(&["serve", "--listen", "localhost"], 2);

    let store = project.root().join("data/online");
    said.note("the online store is a file");
    fs::write(&store, "not a folder").unwrap();
    said.run(&[&["serve"][..], &quiet].concat(), 1);
    fs::remove_file(&store).unwrap();

    said.note("it holds something else");
    fs::create_dir_all(&store).unwrap();
    fs::write(store.join("data.mdb"), "not LMDB".repeat(10_000)).unwrap();
    said.run(&[&["serve"][..], &quiet].concat(), 1);
    said.run(&["get", "doubles", "user_id=1"], 1);

    said.note("it is cut");
    fs::remove_dir_all(&store).unwrap();
    project.told(&["batch", "doubles"], 0);
    project.told(&["materialize", "doubles"], 0);
    let data = fs::read(store.join("data.mdb")).unwrap();
    fs::write(store.join("data.mdb"), &data[..100]).unwrap();
    said.run(&[&["serve"][..], &quiet].concat(), 1);
    said.run(&["materialize", "doubles"], 1);

    said.note("it is not there");
    fs::remove_dir_all(&store).unwrap();
    said.run(&["get", "doubles", "user_id=1"], 1);
    said.assert("bad_input/serve");
}
