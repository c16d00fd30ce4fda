"""Uses the gateway with a library as its users do: libraries.py LIBRARY URL KEY. Each line of the standard input names a model, with which everything is
done once; a line of JSON says how it ended. libraries.test.mjs plans the responses of the provider."""

import asyncio
import json
import sys
import traceback

from pydantic import BaseModel

library, url, key = sys.argv[1:]
SYSTEM, HELLO, WEATHER, DESCRIBE = "You are terse.", "Say hello.", "Weather in Huế?", "Describe Huế."
GREETING, REPORT = "Hello there.", "It has 31 degrees."


class City(BaseModel):
    """A city and its temperature."""

    city: str
    degrees: int


HUE = City(city="Huế", degrees=31)


def weather(city: str) -> str:
    """Temperature of a city."""
    assert city == "Huế", city
    return "31 degrees"


def expect(actual, expected):
    assert actual == expected, f"{actual!r} instead of {expected!r}"


def langchain(model, **options):
    from langchain_core.messages import AIMessage, HumanMessage, SystemMessage
    from langchain_core.tools import tool
    from langchain_openai import ChatOpenAI

    chat = ChatOpenAI(model=model, base_url=f"{url}/v1", api_key=key, max_retries=0, temperature=0.5, store=False, **options)
    ask = [SystemMessage(SYSTEM), HumanMessage(HELLO)]
    expect(chat.invoke(ask).text, GREETING)
    expect("".join(part.text for part in chat.stream(ask)), GREETING)
    parts = HumanMessage([{"type": "text", "text": "I live in Huế."}, {"type": "text", "text": HELLO}])
    talk = [SystemMessage(SYSTEM), HumanMessage("Hi!", name="anna"), parts, AIMessage(GREETING), SystemMessage("Be brief."), HumanMessage(HELLO)]
    expect(chat.invoke(talk).text, GREETING)
    with_tool = chat.bind_tools([tool(weather)], parallel_tool_calls=False)
    history = [HumanMessage(WEATHER)]
    called = with_tool.invoke(history)
    history += [called, *(tool(weather).invoke(call) for call in called.tool_calls)]
    expect(with_tool.invoke(history).text, REPORT)
    history += [AIMessage(REPORT), HumanMessage("Thanks.")]
    expect("".join(part.text for part in with_tool.stream(history)), REPORT)
    expect(chat.with_structured_output(City).invoke(DESCRIBE), HUE)
    expect(chat.with_structured_output(City, method="function_calling", strict=True).invoke(DESCRIBE), HUE)


def langchain_responses(model):
    langchain(model, use_responses_api=True)


def litellm(model):
    import litellm

    def complete(messages, **options):
        address = {"model": f"openai/{model}", "api_base": f"{url}/v1", "api_key": key, "num_retries": 0}
        return litellm.completion(messages=messages, **address, **options)

    def call(messages, **options):
        return complete(messages, **options).choices[0].message

    ask = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": HELLO}]
    expect(call(ask, max_completion_tokens=100, user="anna", seed=1).content, GREETING)
    parts = complete(ask, stream=True, stream_options={"include_usage": True})
    expect("".join(part.choices[0].delta.content or "" for part in parts if part.choices), GREETING)
    texts = [{"type": "text", "text": "I live in Huế."}, {"type": "text", "text": HELLO}]
    talk = [{"role": "developer", "content": SYSTEM}, {"role": "user", "content": "Hi!", "name": "anna"}, {"role": "user", "content": texts}]
    expect(call(talk).content, GREETING)
    parameters = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": False}
    tools = [{"type": "function", "function": {"name": "weather", "parameters": parameters, "strict": True}}]
    history = [{"role": "user", "content": WEATHER}]
    called = call(history, tools=tools, tool_choice="required", parallel_tool_calls=False)
    history.append(called)
    for one in called.tool_calls:
        result = weather(**json.loads(one.function.arguments))
        history.append({"role": "tool", "tool_call_id": one.id, "name": "weather", "content": result})
    expect(call(history, tools=tools).content, REPORT)
    history += [{"role": "user", "content": "Thanks."}]
    expect(call(history, tools=tools).content, REPORT)
    expect(City.model_validate_json(call([{"role": "user", "content": DESCRIBE}], response_format=City).content), HUE)


def pydantic_ai(model):
    from pydantic_ai.models.openai import OpenAIChatModel

    agents(OpenAIChatModel, model)


def pydantic_ai_responses(model):
    from pydantic_ai.models.openai import OpenAIResponsesModel

    agents(OpenAIResponsesModel, model)


def agents(kind, model):
    from pydantic_ai import Agent, NativeOutput
    from pydantic_ai.providers.openai import OpenAIProvider

    async def use():
        talker = kind(model, provider=OpenAIProvider(base_url=f"{url}/v1", api_key=key))
        agent = Agent(talker, instructions=SYSTEM, retries=0)
        expect((await agent.run(HELLO)).output, GREETING)
        async with agent.run_stream(HELLO) as stream:
            expect(await stream.get_output(), GREETING)
        with_tool = Agent(talker, system_prompt=SYSTEM, tools=[weather], retries=0)
        reported = await with_tool.run(WEATHER)
        expect(reported.output, REPORT)
        expect((await with_tool.run("Thanks.", message_history=reported.all_messages())).output, REPORT)
        for output in (City, NativeOutput(City)):
            expect((await Agent(talker, output_type=output, retries=0).run(DESCRIBE)).output, HUE)

    asyncio.run(use())


for line in sys.stdin:
    try:
        globals()[library](line.strip())
        outcome = {"error": None}
    except Exception:
        outcome = {"error": traceback.format_exc()}
    print(json.dumps(outcome), flush=True)
