//! Stands in for `curl` where pages of the book are run, so that they run on machines without it: the few options that the pages use, and no
//! others.
//!
//! `curl [-s] [-f] [-o FILE] [-H 'name: value']... [-d BODY] URL`

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "it prints what was answered")]

use std::io::Write;
use std::process::ExitCode;

#[derive(Default)]
struct Request {
    url: String,
    headers: Vec<(String, String)>,
    body: Option<String>,
    output: Option<String>,
    fail: bool,
    silent: bool,
}

fn parse(arguments: impl Iterator<Item = String>) -> Result<Request, String> {
    let mut request = Request::default();
    let mut arguments = arguments;
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or_else(|| format!("{argument} needs a value"));
        match argument.as_str() {
            "-s" | "--silent" => request.silent = true,
            "-f" | "--fail" => request.fail = true,
            "-o" | "--output" => request.output = Some(value()?),
            "-d" | "--data" => request.body = Some(value()?),
            "-H" | "--header" => {
                let header = value()?;
                let (name, value) = header.split_once(": ").ok_or_else(|| format!("{header} is no header"))?;
                request.headers.push((name.to_owned(), value.to_owned()));
            }
            option if option.starts_with('-') => return Err(format!("the stand-in does not know {option}")),
            url if request.url.is_empty() => request.url = url.to_owned(),
            url => return Err(format!("a second URL: {url}")),
        }
    }
    Ok(request)
}

fn ask(request: &Request) -> Result<(u16, Vec<u8>), ureq::Error> {
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let mut response = match &request.body {
        None => {
            let get = agent.get(&request.url);
            request.headers.iter().fold(get, |get, (name, value)| get.header(name, value)).call()?
        }
        Some(body) => {
            // What curl sends without another header.
            let typed = request.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type"));
            let post = agent.post(&request.url);
            let post = if typed { post } else { post.header("content-type", "application/x-www-form-urlencoded") };
            request.headers.iter().fold(post, |post, (name, value)| post.header(name, value)).send(body)?
        }
    };
    Ok((response.status().as_u16(), response.body_mut().read_to_vec()?))
}

fn main() -> ExitCode {
    let request = match parse(std::env::args().skip(1)) {
        Ok(request) => request,
        Err(error) => {
            eprintln!("curl: {error}");
            return ExitCode::from(2);
        }
    };
    let (status, body) = match ask(&request) {
        Ok(answer) => answer,
        Err(error) => {
            if !request.silent {
                eprintln!("curl: {}: {error}", request.url);
            }
            return ExitCode::from(7);
        }
    };
    if request.fail && status >= 400 {
        return ExitCode::from(22);
    }
    let written = match &request.output {
        Some(file) => std::fs::write(file, body),
        None => std::io::stdout().write_all(&body),
    };
    written.map_or(ExitCode::from(23), |()| ExitCode::SUCCESS)
}
