"""Feast's own SDK, version 0.67, with a remote online store: asks the server at URL and writes down what it understood.

Arguments: a folder for Feast's registry, the server's URL. Prints one JSON object, a member for each question.
"""

import json
import sys
from datetime import timedelta
from pathlib import Path

import pandas
from feast import Entity, FeatureService, FeatureStore, FeatureView, Field, FileSource, PushSource, RequestSource, ValueType
from feast.on_demand_feature_view import on_demand_feature_view
from feast.protos.feast.serving.ServingService_pb2 import FieldStatus
from feast.types import Bool, Float64, Int64

folder, url = Path(sys.argv[1]), sys.argv[2]
folder.mkdir(parents=True, exist_ok=True)
(folder / "feature_store.yaml").write_text(
    f"""project: shop
provider: local
registry: registry.db
entity_key_serialization_version: 3
online_store:
  type: remote
  path: {url}
offline_store:
  type: file
"""
)
# Feast wants its own definitions; values and statuses are the server's.
user = Entity(name="user", join_keys=["user_id"], value_type=ValueType.INT64)
source = FileSource(path=str(folder / "none.parquet"), timestamp_field="event_timestamp")
usual = FeatureView(
    name="usual",
    entities=[user],
    ttl=timedelta(days=3650),
    schema=[Field(name="risk", dtype=Float64), Field(name="country_seen", dtype=Bool)],
    source=source,
)
aged = FeatureView(
    name="aged", entities=[user], ttl=timedelta(days=3650), schema=[Field(name="risk", dtype=Float64)], source=source
)
ceilings = FileSource(
    name="ceilings", path=str(folder / "ceilings.parquet"), timestamp_field="event_timestamp", created_timestamp_column="created"
)
pushed = PushSource(name="ceilings_push", batch_source=ceilings)
ceiling = FeatureView(
    name="ceiling", entities=[user], ttl=timedelta(days=3650), schema=[Field(name="user_id", dtype=Int64), Field(name="ceiling", dtype=Float64)], source=pushed
)
request = RequestSource(name="checkout_request", schema=[Field(name="amount", dtype=Float64)])


@on_demand_feature_view(
    sources=[request, usual],
    schema=[Field(name="ratio", dtype=Float64), Field(name="seconds_since", dtype=Float64)],
    mode="pandas",
)
def ratio(inputs: pandas.DataFrame) -> pandas.DataFrame:
    raise AssertionError("the server computes it")


checkout = FeatureService(name="checkout", features=[usual, ratio])
store = FeatureStore(repo_path=str(folder))
# The source's file need not exist: nothing is read offline.
store.registry.apply_entity(user, "shop")
store.registry.apply_data_source(pushed, "shop")
for view in (usual, aged, ceiling, ratio):
    store.registry.apply_feature_view(view, "shop")
store.registry.apply_feature_service(checkout, "shop")

answers = {}


def ask(name, **arguments):
    try:
        response = store.get_online_features(**arguments)
        proto = response.proto
        statuses = {
            feature: [FieldStatus.Name(status) for status in vector.statuses]
            for feature, vector in zip(proto.metadata.feature_names.val, proto.results)
        }
        types = {
            feature: [value.WhichOneof("val") for value in vector.values]
            for feature, vector in zip(proto.metadata.feature_names.val, proto.results)
        }
        answers[name] = {"values": response.to_dict(), "statuses": statuses, "types": types}
    except Exception as error:  # what the SDK makes of the server's errors is what is asked for
        answers[name] = {"error": type(error).__name__, "message": str(error)}


users = [{"user_id": 4}, {"user_id": 999}, {"user_id": 3}, {"user_id": 4}]
ask("list", features=["usual:risk", "usual:country_seen"], entity_rows=users)
ask("full_names", features=["usual:risk"], entity_rows=users, full_feature_names=True)
ask("service", features=checkout, entity_rows=[{**row, "amount": 25.0} for row in users])
ask("on_demand", features=["ratio:ratio", "usual:risk"], entity_rows=[{**row, "amount": 25.0} for row in users])
ask("expired", features=["aged:risk"], entity_rows=[{"user_id": 4}])
ask("no_request_data", features=["ratio:ratio"], entity_rows=users)
ask("no_entity", features=["usual:risk"], entity_rows=[{"amount": 1.0}])
ask("unknown_feature", features=["usual:risky"], entity_rows=users)
ask("unknown_view", features=["unusual:risk"], entity_rows=users)
ask("unknown_service", features=FeatureService(name="checkin", features=[usual]), entity_rows=users)
ask("malformed", features=["usual:risk"], entity_rows=[{"user_id": "four"}])


def rows(users, values, at):
    times = [pandas.Timestamp(at, tz="UTC")] * len(users)
    return pandas.DataFrame({"user_id": users, "ceiling": values, "event_timestamp": times, "created": times})


def do(name, action):
    try:
        action()
        ask(name, features=["ceiling:ceiling"], entity_rows=[{"user_id": user} for user in (1, 2, 3)])
    except Exception as error:
        answers[name] = {"error": type(error).__name__, "message": str(error)}


do("write", lambda: store.write_to_online_store("ceiling", rows([1, 2], [10.0, 20.5], "2026-01-02T10:00:00")))
# An older row never takes the place of a newer one.
do("late", lambda: store.write_to_online_store("ceiling", rows([1], [1.0], "2026-01-01T10:00:00")))
do("push", lambda: store.push("ceilings_push", rows([2, 3], [21.0, 30.0], "2026-01-03T10:00:00")))
# With a remote store the SDK asks the server to do it.
period = [pandas.Timestamp(day, tz="UTC").to_pydatetime() for day in ("2026-01-01", "2026-01-05")]
do("materialize", lambda: store.materialize(*period, feature_views=["usual"]))
print(json.dumps(answers, default=str))
