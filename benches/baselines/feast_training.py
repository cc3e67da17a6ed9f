"""A point-in-time join by Feast's historical retrieval over files, Parquet to Parquet.

feast_training.py LABELS OUT FEATURES... takes each file of features (user_id, event_time, a, b, c) as a feature view without ttl, and writes what
`get_historical_features` gives for the labels (user_id, event_time, label). It prints the processor time in seconds and the peak of its memory in bytes.

The rows are those that Feast gives: it keeps neither the labels' order nor, where keys and times repeat, their number.
"""

import resource
import sys
import tempfile
from datetime import timedelta


def main():
    import pandas as pd
    from feast import Entity, FeatureStore, FeatureView, Field, FileSource, RepoConfig, ValueType
    from feast.types import Float64

    labels, out, *features = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        config = RepoConfig(
            project="training",
            provider="local",
            registry=f"{folder}/registry.db",
            online_store={"type": "sqlite", "path": f"{folder}/online.db"},
            offline_store={"type": "file"},
            entity_key_serialization_version=3,
        )
        store = FeatureStore(config=config, repo_path=folder)
        user = Entity(name="user", join_keys=["user_id"], value_type=ValueType.INT64)
        views = [
            FeatureView(
                name=f"view{index}",
                entities=[user],
                ttl=timedelta(0),
                schema=[Field(name=name, dtype=Float64) for name in "abc"],
                source=FileSource(name=f"rows{index}", path=file, timestamp_field="event_time"),
                online=False,
            )
            for index, file in enumerate(features)
        ]
        store.apply([user, *views])
        asked = [f"view{index}:{name}" for index in range(len(features)) for name in "abc"]
        job = store.get_historical_features(entity_df=pd.read_parquet(labels), features=asked, full_feature_names=True)
        job.to_df().to_parquet(out, compression="zstd", index=False)
    usage = resource.getrusage(resource.RUSAGE_SELF)
    print(usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024)


main()
