import json

import trio
from websockets.trio.client import connect

from trioworkers import BaseWorker, WorkerRunner, job
from trioworkers.ui import BaseUIWorker
from trioworkers.ui.panel import open_panel


class Counter(BaseWorker):
    @job(name="count")
    async def count(self, message):
        words = message.payload["text"].split()
        await self.send_job_update(message.job_id, {"stage": "counting"})
        return {"words": len(words)}


class Desk(BaseUIWorker):
    async def on_user_text(self, message):
        text = message.payload["content"]
        await self.start_user_job_group(
            "east", "west", name="count", payload={"text": text}, label=f"Count: {text}"
        )
        await self.send_text("They count.")


def make_workers():
    return [Desk("desk"), Counter("east"), Counter("west")]


async def visit(url):  # as the page does it
    async with connect(url.replace("http", "ws", 1)) as socket:

        async def send(kind, data):
            await socket.send(
                json.dumps({"id": kind, "label": "rtvi-ai", "type": kind, "data": data})
            )

        await send("client-ready", {"version": "2.0.0", "about": {}})
        await send("send-text", {"content": "many hands", "options": {}})
        while True:
            message = json.loads(await socket.recv())
            if message["type"] == "ui-job-group":
                match message["data"]:
                    case {"kind": "group_started", "label": label}:
                        print(label)
                    case {"kind": "job_completed", "worker_name": "east", "response": response}:
                        print("east:", response)
                    case {"kind": "group_completed"}:
                        return


async def main():
    async with WorkerRunner(name="counting") as runner:
        await runner.add_workers(*make_workers())
        async with open_panel(runner, ui_worker="desk") as panel:
            print(panel.url.replace(str(panel.port), "PORT"))
            await visit(panel.url)  # yours: await trio.sleep_forever()


if __name__ == "__main__":
    trio.run(main)
# Output:
# http://127.0.0.1:PORT/
# Count: many hands
# east: {'words': 2}
