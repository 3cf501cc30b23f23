#!/usr/bin/env bash
# LangChain4j: which of its handlers hears of a chat stream that fails in the middle?
#
# Guess: `onError`, once, and nothing after it; `onCompleteResponse` is for answers that are complete. The interface names them
# as the two ends of a call. A stream that is cut off, with neither finish reason nor `[DONE]`, is an error too.
#
# Found: `onCompleteResponse` in each case, with half an answer and no finish reason. An error in the data of an event, as
# OpenAI and most servers send it, is lost. An error in an event named `error`, and an event that is no JSON, call `onError` and
# go on: the call ends twice, by both ways. An application that stores answers and counts calls where they complete has stored
# and counted it.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

cat > pom.xml <<'MAVEN'
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>finding</groupId>
  <artifactId>finding</artifactId>
  <version>1</version>
  <dependencies>
    <dependency>
      <groupId>dev.langchain4j</groupId>
      <artifactId>langchain4j-open-ai</artifactId>
      <version>1.19.0</version>
    </dependency>
  </dependencies>
</project>
MAVEN

cat > Finding.java <<'JAVA'
import com.sun.net.httpserver.HttpServer;
import dev.langchain4j.model.chat.response.ChatResponse;
import dev.langchain4j.model.chat.response.StreamingChatResponseHandler;
import dev.langchain4j.model.openai.OpenAiStreamingChatModel;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CopyOnWriteArrayList;

public class Finding {
    static final String ERROR = "{\"error\":{\"message\":\"overloaded\",\"type\":\"server_error\",\"code\":503}}";

    static String event(String data) {
        return "data: " + data + "\n\n";
    }

    static String chunk(String delta, String finish) {
        return event("{\"id\":\"1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":"
                + "[{\"index\":0,\"delta\":" + delta + ",\"finish_reason\":" + finish + "}]}");
    }

    public static void main(String[] arguments) throws Exception {
        String half = chunk("{\"role\":\"assistant\",\"content\":\"Half of\"}", "null");
        String rest = chunk("{\"content\":\" it\"}", "null") + chunk("{}", "\"stop\"") + event("[DONE]");
        Map<String, String> streams = new LinkedHashMap<>();
        streams.put("whole", half + rest);
        streams.put("an error", half + event(ERROR) + event("[DONE]"));
        streams.put("an error in an event of that name", half + "event: error\n" + event(ERROR));
        streams.put("an event that is no JSON", half + event("{\"id\":") + rest);
        streams.put("cut off", half);

        HttpServer server = HttpServer.create(new InetSocketAddress("127.0.0.1", 0), 0);
        List<String> bodies = List.copyOf(streams.values());
        server.createContext("/", exchange -> {
            exchange.getRequestBody().readAllBytes();
            int asked = Integer.parseInt(exchange.getRequestURI().getPath().split("/")[1]);
            byte[] body = bodies.get(asked).getBytes(StandardCharsets.UTF_8);
            exchange.getResponseHeaders().set("content-type", "text/event-stream");
            exchange.sendResponseHeaders(200, body.length);
            exchange.getResponseBody().write(body);
            exchange.close();
        });
        server.start();

        int number = 0;
        for (String name : streams.keySet()) {
            List<String> called = new CopyOnWriteArrayList<>();
            OpenAiStreamingChatModel model = OpenAiStreamingChatModel.builder().apiKey("key").modelName("m")
                    .baseUrl("http://127.0.0.1:" + server.getAddress().getPort() + "/" + number++ + "/v1").build();
            model.chat("Hi", new StreamingChatResponseHandler() {
                @Override
                public void onPartialResponse(String text) {
                }

                @Override
                public void onCompleteResponse(ChatResponse answer) {
                    called.add("onCompleteResponse (\"" + answer.aiMessage().text() + "\", " + answer.finishReason() + ")");
                }

                @Override
                public void onError(Throwable error) {
                    called.add("onError");
                }
            });
            // Long enough for a second call of a handler after the first.
            Thread.sleep(2000);
            System.out.println(name + ": " + String.join(", then ", called));
        }
        server.stop(0);
        System.exit(0);
    }
}
JAVA

mvn --quiet --batch-mode dependency:build-classpath -Dmdep.outputFile=classpath > log 2>&1 || { cat log; exit 1; }
grep -oE 'langchain4j-open-ai-[0-9.]+[0-9]' classpath | head -1
javac -cp "$(cat classpath)" Finding.java
seen=$(java -cp ".:$(cat classpath)" Finding 2> /dev/null)
echo "$seen"

diff <(echo "$seen") - <<'SEEN'
whole: onCompleteResponse ("Half of it", STOP)
an error: onCompleteResponse ("Half of", null)
an error in an event of that name: onError, then onCompleteResponse ("Half of", null)
an event that is no JSON: onError, then onCompleteResponse ("Half of it", STOP)
cut off: onCompleteResponse ("Half of", null)
SEEN
