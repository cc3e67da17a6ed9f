"""Feast's own feature server, or the rows for it.

feast_serving.py rows FILE USERS writes the rows: user_id, risk, event_timestamp.
feast_serving.py FOLDER ROWS ONLINE PORT WORKERS MODE makes a repository in FOLDER, writes the rows into its online store (ONLINE is `sqlite`, or the port of a
Redis), and becomes `feast serve`. MODE is that of the on-demand view: `python`, or `pandas`, which is Feast's default.
"""

import os
import sys
from datetime import timedelta
from pathlib import Path


def rows(path, users):
    import numpy as np
    import pandas as pd

    random = np.random.default_rng(7)
    times = pd.Timestamp("2026-01-01", tz="UTC") + pd.to_timedelta(random.integers(0, 86_400 * 90, users), unit="s")
    frame = pd.DataFrame({"user_id": np.arange(users), "risk": random.random(users), "event_timestamp": times})
    frame["event_timestamp"] = frame["event_timestamp"].astype("datetime64[us, UTC]")
    frame.to_parquet(path, index=False)


DEFINITIONS = '''
from datetime import timedelta
from typing import Any

import pandas as pd
from feast import Entity, FeatureService, FeatureView, Field, FileSource, RequestSource, ValueType
from feast.on_demand_feature_view import on_demand_feature_view
from feast.types import Float64, Int64

user = Entity(name="user", join_keys=["user_id"], value_type=ValueType.INT64)
source = FileSource(name="spendings", path="{rows}", timestamp_field="event_timestamp")
usual = FeatureView(
    name="usual", entities=[user], ttl=timedelta(days=36500), schema=[Field(name="risk", dtype=Float64)], source=source
)
request = RequestSource(name="checkout_request", schema=[Field(name="amount", dtype=Float64)])


{ratio}

checkout = FeatureService(name="checkout", features=[usual, ratio])
'''

# Feast takes a function apart from its module: it imports what it needs by itself.
RATIO = {
    "python": '''@on_demand_feature_view(sources=[request, usual], schema=[Field(name="ratio", dtype=Float64)], mode="python")
def ratio(inputs: dict[str, Any]) -> dict[str, Any]:
    import math

    pairs = zip(inputs["amount"], inputs["risk"], strict=True)
    return {"ratio": [math.log(amount / risk) if risk else None for amount, risk in pairs]}
''',
    "pandas": '''@on_demand_feature_view(sources=[request, usual], schema=[Field(name="ratio", dtype=Float64)], mode="pandas")
def ratio(inputs: pd.DataFrame) -> pd.DataFrame:
    import numpy as np

    return pd.DataFrame({"ratio": np.log(inputs["amount"] / inputs["risk"])})
''',
}


def serve(folder, path, online, port, workers, mode):
    import pandas as pd

    folder = Path(folder)
    folder.mkdir(parents=True)
    store = {"sqlite": "  type: sqlite\n  path: online.db\n"}.get(
        online, f'  type: redis\n  connection_string: "127.0.0.1:{online}"\n'
    )
    (folder / "feature_store.yaml").write_text(
        f"project: checkout\nprovider: local\nregistry:\n  path: registry.db\n  cache_ttl_seconds: 3600\n"
        f"online_store:\n{store}offline_store:\n  type: file\nentity_key_serialization_version: 3\n"
    )
    (folder / "definitions.py").write_text(DEFINITIONS.format(rows=path, ratio=RATIO[mode]))
    os.chdir(folder)
    os.environ["FEAST_USAGE"] = "False"
    feast = Path(sys.executable).with_name("feast")
    if os.spawnv(os.P_WAIT, feast, [str(feast), "apply"]) != 0:
        raise SystemExit("feast apply failed")
    from feast import FeatureStore

    FeatureStore(repo_path=".").write_to_online_store("usual", pd.read_parquet(path))
    os.execv(feast, [str(feast), "serve", "--host", "127.0.0.1", "--port", port, "--workers", workers, "--max-requests", "0", "--no-access-log"])


if sys.argv[1] == "rows":
    rows(sys.argv[2], int(sys.argv[3]))
else:
    serve(*sys.argv[1:])
