#!/bin/sh
# The main job of Tandem from nothing: input, component, batch, online store, server, and the proof that batch and server agree.
# Leaves the server running and prints what to ask it. Run it again as often as you like.
#   TANDEM_LISTEN=127.0.0.1:9090 ./run.sh    another address
#   ./run.sh --stop                          stops the server again
set -eu
here=$(cd "$(dirname "$0")" && pwd)
cd "$here"
listen=${TANDEM_LISTEN:-127.0.0.1:8080}
pid_file=data/server.pid

stop_server() {
    if [ -f "$pid_file" ]; then
        pid=$(cat "$pid_file")
        # Only if it is still ours: the number may have been given to another process.
        if kill -0 "$pid" 2>/dev/null && tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null | grep -q "tandem serve"; then
            kill "$pid"
            while kill -0 "$pid" 2>/dev/null; do sleep 0.1; done
        fi
        rm -f "$pid_file"
    fi
}

step() { printf '\n== %s\n' "$*"; }
show() { printf '$ %s\n' "$*"; "$@"; }

stop_server
if [ "${1:-}" = "--stop" ]; then
    echo "stopped"
    exit 0
fi

step "Build Tandem (the first time this takes some minutes)"
if [ -z "${TANDEM_BIN:-}" ]; then
    (cd "$here/../.." && cargo build --release --locked -p tandem -p quickstart-generator)
    TANDEM_BIN=${CARGO_TARGET_DIR:-$here/../../target}/release
fi
PATH=$TANDEM_BIN:$PATH
export PATH

# What a version of a view means never changes; this example starts over instead of raising its version.
rm -rf data/features data/online registry

step "Make a month of card transactions: Parquet, one folder a day"
show quickstart-generator --out data/transactions --days 31

step "Compile the transform to a WebAssembly component"
show tandem build transform

step "Prove that it computes row by row, and register it"
show tandem apply --reason "quickstart"

step "Run the component in batch over the month"
show tandem batch transaction_risk --from 2026-01-01 --to 2026-02-01

step "Put the newest row of each user into the online store"
show tandem materialize transaction_risk --from 2026-01-01 --to 2026-02-01

step "Serve (log: examples/quickstart/data/server.log)"
printf '$ tandem serve --listen %s --allow-replay &\n' "$listen"
# Replay lets the next step ask as of each row's own time; a server for the public would not have it.
nohup tandem serve --listen "$listen" --allow-replay >data/server.log 2>&1 </dev/null &
echo $! >"$pid_file"
tries=0
until curl --silent --fail --output /dev/null "http://$listen/health"; do
    tries=$((tries + 1))
    if ! kill -0 "$(cat "$pid_file")" 2>/dev/null || [ "$tries" -gt 100 ]; then
        echo "the server does not answer:" >&2
        cat data/server.log >&2
        exit 1
    fi
    sleep 0.1
done

step "Ask the server on demand for rows of the batch, and compare bits"
show tandem parity transaction_risk --url "http://$listen" --sample 20000
show tandem parity transaction_risk --url "http://$listen" --sample 20000 --format arrow

cat <<END

== The server is up. Ask it:

# compute on demand: nothing is stored, the component runs on what you send
curl -s http://$listen/v1/transforms/transaction_risk -H 'content-type: application/json' -d '{"rows": [
  {"amount": 129.5, "merchant": "  CAFÉ Ñandú ", "card_present": false, "latitude": 48.2, "longitude": 16.37, "home_latitude": 52.52, "home_longitude": 13.4}]}'

# look up what the batch computed ahead
curl -s http://$listen/v1/features -H 'content-type: application/json' -d '{"view": "transaction_risk", "entities": {"user_id": [1, 2, 999999999]}}'

# what there is
curl -s http://$listen/v1/views

# stop it
examples/quickstart/run.sh --stop
END
