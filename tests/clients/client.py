"""python-socketio with its default options: sends 30 messages, waits until it has received 60, reads all of them again from the log, and prints
what it received.

client.py URL TOKEN CONVERSATION [TRANSPORT]
"""

import json
import sys
import threading

import socketio

url, token, conversation, transport = (sys.argv[1:] + [""])[:4]
options = {"transports": [transport]} if transport else {}
client = socketio.Client(reconnection=False)
seen, acknowledged, heard = [], [], threading.Condition()


@client.on("message.created")
def on_message(payload):
    with heard:
        seen.append(payload["seq"])
        heard.notify_all()


client.connect(url, auth={"token": token}, **options)
print("ready", flush=True)
for n in range(30):
    body = {"conversation_id": conversation, "client_id": f"p{n}", "content": f"from Python {n}"}
    answer = client.call("message.send", body, timeout=20)
    acknowledged.append(answer["seq"])
with heard:
    heard.wait_for(lambda: len(seen) >= 60, timeout=20)
    live = seen[:]
    seen.clear()
client.emit("sync", {"cursors": {conversation: 0}})
with heard:
    heard.wait_for(lambda: len(seen) >= 60, timeout=20)
used = client.transport()
client.disconnect()

other = socketio.Client(reconnection=False)
reasons = []
other.on("connect_error", lambda reason: reasons.append(reason), namespace="/admin")
try:
    other.connect(url, auth={"token": token}, namespaces=["/admin"], wait_timeout=10, **options)
except socketio.exceptions.ConnectionError:
    pass
refused = reasons[0]["message"] if reasons else None
print(json.dumps({"live": live, "logged": seen, "acknowledged": acknowledged, "transport": used, "refused": refused}), flush=True)
