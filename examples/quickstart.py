"""The whole integration: the address. OPENAI_BASE_URL=http://127.0.0.1:8080/v1 python quickstart.py"""

import openai

print(openai.OpenAI().responses.create(model="gpt-4o-mini", input="How deep is the river?").output_text)
