// Libraries for JavaScript, each used as its users do. libraries.test.mjs plans the responses of the provider.

import assert from 'node:assert/strict';
import { createOpenAI } from '@ai-sdk/openai';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { GoogleGenAI } from '@google/genai';
import { Output, generateText, stepCountIs, streamText, tool } from 'ai';
import { z } from 'zod';

const SYSTEM = 'You are terse.';
const [HELLO, WEATHER, DESCRIBE] = ['Say hello.', 'Weather in Huế?', 'Describe Huế.'];
const [GREETING, REPORT] = ['Hello there.', 'It has 31 degrees.'];
const HUE = { city: 'Huế', degrees: 31 };

/** Vercel's `ai` with a model of one of its providers. */
async function useAi(model) {
  const options = { model, system: SYSTEM, maxRetries: 0 };
  assert.equal((await generateText({ ...options, prompt: HELLO, seed: 1 })).text, GREETING);
  const stream = streamText({
    ...options,
    messages: [
      { role: 'user', content: [{ type: 'text', text: 'I live in Huế.' }, { type: 'text', text: HELLO }] },
      { role: 'user', content: HELLO },
    ],
  });
  assert.equal(await stream.text, GREETING);
  const weather = tool({
    description: 'Temperature of a city',
    inputSchema: z.object({ city: z.string() }),
    strict: true,
    execute: ({ city }) => {
      assert.equal(city, HUE.city);
      return '31 degrees';
    },
  });
  const loop = { ...options, tools: { weather }, stopWhen: stepCountIs(3) };
  const reported = await generateText({ ...loop, prompt: WEATHER });
  assert.deepEqual([reported.text, reported.steps.length], [REPORT, 2]);
  assert.equal(await streamText({ ...loop, prompt: WEATHER }).text, REPORT);
  const described = await generateText({ ...options, prompt: DESCRIBE, output: Output.object({ schema: z.object({ city: z.string(), degrees: z.number() }) }) });
  assert.deepEqual(described.output, HUE);
}

/** Google's library. */
async function useGenai(url, apiKey, model) {
  const ai = new GoogleGenAI({ apiKey, httpOptions: { baseUrl: url } });
  const config = { systemInstruction: SYSTEM };
  assert.equal((await ai.models.generateContent({ model, contents: HELLO, config })).text, GREETING);
  let text = '';
  for await (const part of await ai.models.generateContentStream({ model, contents: HELLO, config })) text += part.text ?? '';
  assert.equal(text, GREETING);
  const parametersJsonSchema = { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] };
  const tools = [{ functionDeclarations: [{ name: 'weather', description: 'Temperature of a city', parametersJsonSchema }] }];
  const chat = ai.chats.create({ model, config: { ...config, tools } });
  const { functionCalls } = await chat.sendMessage({ message: WEATHER });
  assert.deepEqual(functionCalls.map(({ name, args }) => [name, args]), [['weather', { city: HUE.city }]]);
  const [{ id, name }] = functionCalls;
  const reported = await chat.sendMessage({ message: { functionResponse: { id, name, response: { output: '31 degrees' } } } });
  assert.equal(reported.text, REPORT);
  assert.equal((await chat.sendMessage({ message: 'Thanks.' })).text, REPORT);
  const properties = { city: { type: 'string' }, degrees: { type: 'integer' } };
  const responseJsonSchema = { type: 'object', properties, required: ['city', 'degrees'] };
  const described = await ai.models.generateContent({
    model,
    contents: DESCRIBE,
    config: { responseMimeType: 'application/json', responseJsonSchema },
  });
  assert.deepEqual(JSON.parse(described.text), HUE);
}

const openai = (url, apiKey) => createOpenAI({ apiKey, baseURL: `${url}/v1` });

/** Uses of the libraries, given the server's address, a key and a model. */
export const LIBRARIES = {
  'ai with @ai-sdk/openai': (url, key, model) => useAi(openai(url, key).chat(model)),
  'ai with @ai-sdk/openai and the Responses API': (url, key, model) => useAi(openai(url, key).responses(model)),
  'ai with @ai-sdk/openai-compatible': (url, apiKey, model) => {
    const compatible = createOpenAICompatible({ name: 'natter', apiKey, baseURL: `${url}/v1`, includeUsage: true, supportsStructuredOutputs: true });
    return useAi(compatible(model));
  },
  '@google/genai': useGenai,
};
