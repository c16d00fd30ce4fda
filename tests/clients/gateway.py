"""Calls the gateway with libraries of AI providers: gateway.py URL KEY MODEL. gateway.test.mjs plans the responses of the upstream."""

import sys

import anthropic
import ollama
import openai
from google import genai

url, key, model = sys.argv[1:]
ask = [{"role": "user", "content": "Hello?"}]
parameters = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}

client = openai.OpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0)
answer = client.chat.completions.create(model=model, messages=ask)
assert answer.choices[0].message.content == "Hello there.", answer
with client.chat.completions.stream(model=model, messages=ask) as stream:
    assert stream.get_final_completion().choices[0].message.content == "One two three."
tools = [{"type": "function", "function": {"name": "weather", "parameters": parameters}}]
answer = client.chat.completions.create(model=model, messages=ask, tools=tools)
assert answer.choices[0].message.tool_calls[0].function.name == "weather", answer
answer = client.responses.create(model=model, input="Hello?")
assert answer.output_text == "Plain.", answer
with client.responses.stream(model=model, input="Hello?") as stream:
    assert stream.get_final_response().output_text == "One two three."
assert model in [one.id for one in client.models.list()]
try:
    openai.OpenAI(base_url=f"{url}/v1", api_key="nk_nobody", max_retries=0).models.list()
    raise SystemExit("a key that nobody has was let in")
except openai.AuthenticationError:
    pass

client = genai.Client(api_key=key, http_options={"base_url": url})
answer = client.models.generate_content(model=model, contents="Hello?")
assert answer.text == "Hello there.", answer
stream = client.models.generate_content_stream(model=model, contents="Hello?")
assert "".join(part.text or "" for part in stream) == "One two three."
declaration = {"name": "weather", "parameters_json_schema": parameters}
tools = [{"function_declarations": [declaration]}]
answer = client.models.generate_content(model=model, contents="Hello?", config={"tools": tools})
assert answer.function_calls[0].name == "weather", answer
assert client.models.count_tokens(model=model, contents="Hello?").total_tokens > 0
assert f"models/{model}" in [one.name for one in client.models.list()]
nobody = genai.Client(api_key="nk_nobody", http_options={"base_url": url})
try:
    nobody.models.generate_content(model=model, contents="Hello?")
    raise SystemExit("a key that nobody has was let in")
except genai.errors.ClientError as error:
    assert error.code == 401, error

client = ollama.Client(host=url, headers={"authorization": f"Bearer {key}"})
answer = client.chat(model=model, messages=ask)
assert answer.message.content == "Hello there.", answer
assert "".join(part.message.content for part in client.chat(model=model, messages=ask, stream=True)) == "One two three."
assert model in [one.model for one in client.list().models]

client = anthropic.Anthropic(base_url=url, auth_token=key, max_retries=0)
answer = client.messages.create(model=model, max_tokens=100, messages=ask)
assert answer.content[0].text == "Hello there.", answer
with client.messages.stream(model=model, max_tokens=100, messages=ask) as stream:
    assert stream.get_final_text() == "One two three."
assert client.messages.count_tokens(model=model, messages=ask).input_tokens > 0
assert model in [one.id for one in client.models.list()]
try:
    with client.messages.stream(model=model, max_tokens=100, messages=ask) as stream:
        stream.get_final_text()
    raise SystemExit("an answer that failed looked whole")
except anthropic.APIError:
    pass
