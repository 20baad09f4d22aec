"""Reads a topic from its beginning to its end, with a client of another make: each record as a line of JSON."""

import json
import sys

from kafka import KafkaConsumer, TopicPartition
from kafka.partitioner.default import murmur2

# Nothing more comes.
QUIET_MS = 3000


def main():
    server, topic = sys.argv[1:]
    # A batch at a time: what tansu sends of many at once cannot be read. Where a topic ends it does not tell
    # right either.
    consumer = KafkaConsumer(
        bootstrap_servers=server,
        enable_auto_commit=False,
        max_partition_fetch_bytes=1,
        consumer_timeout_ms=QUIET_MS,
    )
    partitions = [TopicPartition(topic, number) for number in sorted(consumer.partitions_for_topic(topic))]
    consumer.assign(partitions)
    consumer.seek_to_beginning()
    for record in consumer:
        headers = {name: value.decode() for name, value in record.headers}
        if len(headers) != len(record.headers):
            raise ValueError(f"a header comes twice: {record.headers}")
        # As a producer of this client would choose.
        chosen = (murmur2(record.key) & 0x7FFFFFFF) % len(partitions)
        if chosen != record.partition:
            raise ValueError(f"{record.key} is in the partition {record.partition}, not {chosen}")
        shown = {"key": record.key.decode(), "timestamp": record.timestamp, "headers": headers}
        print(json.dumps(shown | {"value": record.value.decode()}))


if __name__ == "__main__":
    main()
