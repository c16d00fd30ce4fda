"""Prints the messages of a topic, each as a line of JSON, in the order of each partition: consume.py HOST:PORT TOPIC."""

import json
import sys

from kafka import KafkaConsumer, TopicPartition


def main(server, topic):
    consumer = KafkaConsumer(bootstrap_servers=server, enable_auto_commit=False)
    partitions = [TopicPartition(topic, number) for number in consumer.partitions_for_topic(topic)]
    consumer.assign(partitions)
    consumer.seek_to_beginning(*partitions)
    ends = consumer.end_offsets(partitions)
    while any(consumer.position(partition) < ends[partition] for partition in partitions):
        for messages in consumer.poll(timeout_ms=1000).values():
            for message in messages:
                headers = {name: value.decode() for name, value in message.headers}
                line = {
                    "partition": message.partition,
                    "partitions": len(partitions),
                    "key": message.key.decode(),
                    "id": headers["natter-event-id"],
                    "event": json.loads(message.value),
                }
                print(json.dumps(line))


main(sys.argv[1], sys.argv[2])
