export * from "@pipecat-ai/client-js";
export { WebSocketTransport } from "@pipecat-ai/websocket-transport";
