"""Reads a topic from its beginning to its end, with a client of another make: each record as a line of JSON."""

import json
import sys
import time

from kafka import KafkaConsumer, TopicPartition
from kafka.partitioner.default import murmur2

SECONDS = 60


def main():
    server, topic = sys.argv[1:]
    # A batch at a time, and all of it: tansu does not send many at once so that they can be read, and takes
    # the beginning of the last one for the end of the topic.
    consumer = KafkaConsumer(
        bootstrap_servers=server, enable_auto_commit=False, max_partition_fetch_bytes=1, max_poll_records=1_000_000
    )
    partitions = [TopicPartition(topic, number) for number in sorted(consumer.partitions_for_topic(topic))]
    consumer.assign(partitions)
    consumer.seek_to_beginning()
    ends = consumer.end_offsets(partitions)
    deadline = time.monotonic() + SECONDS
    while any(consumer.position(one) < ends[one] for one in partitions):
        if time.monotonic() > deadline:
            raise TimeoutError(f"the end of {ends} is not reached in {SECONDS} s")
        for records in consumer.poll(timeout_ms=1000).values():
            for record in records:
                headers = {name: value.decode() for name, value in record.headers}
                if len(headers) != len(record.headers):
                    raise ValueError(f"a header comes twice: {record.headers}")
                # As a producer of this client would choose.
                chosen = (murmur2(record.key) & 0x7FFFFFFF) % len(partitions)
                if chosen != record.partition:
                    raise ValueError(f"{record.key} is in the partition {record.partition}, not {chosen}")
                print(
                    json.dumps(
                        {
                            "key": record.key.decode(),
                            "timestamp": record.timestamp,
                            "headers": headers,
                            "value": record.value.decode(),
                        }
                    )
                )


if __name__ == "__main__":
    main()
