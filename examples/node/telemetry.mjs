// OpenTelemetry in a Node application: spans go to OTEL_EXPORTER_OTLP_ENDPOINT, and every fetch, so each call of the OpenAI SDK,
// carries their context. The proxy needs no more than that header to put its own spans below the application's.
import { UndiciInstrumentation } from "@opentelemetry/instrumentation-undici";
import { NodeSDK } from "@opentelemetry/sdk-node";

const sdk = new NodeSDK({ instrumentations: [new UndiciInstrumentation()] });
sdk.start();

process.on("SIGTERM", () => sdk.shutdown().finally(() => process.exit(0)));
