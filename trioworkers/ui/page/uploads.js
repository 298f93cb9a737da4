// Files for a question, over the WebSocket, a piece at a time.

/**
 * Send a file as the answer to a question.
 *
 * @param onProgress Told how many bytes have arrived.
 * @param signal An `AbortSignal`: what was sent until then is thrown away.
 * @throws Error with a text for a person.
 */
export async function upload(connection, question, file, mimeType, { onProgress, signal }) {
  const begun = await connection.ask("panel.upload.begin", {
    question,
    size: file.size,
    mime_type: mimeType,
  });
  const { upload: id, chunk_bytes: most } = begun;
  try {
    for (let offset = 0; offset < file.size; offset += most) {
      signal.throwIfAborted();
      const data = await base64(file.slice(offset, offset + most));
      const { received } = await connection.ask("panel.upload.chunk", { upload: id, offset, data });
      onProgress(received);
    }
    signal.throwIfAborted();
    await connection.ask("panel.upload.end", { upload: id });
  } catch (error) {
    connection.ask("panel.upload.cancel", { upload: id }).catch(() => {});
    throw signal.aborted ? new Error("The upload was cancelled.") : error;
  }
}

function base64(blob) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result.slice(reader.result.indexOf(",") + 1));
    reader.onerror = () => reject(new Error("The file can't be read."));
    reader.readAsDataURL(blob);
  });
}

/** Whether a MIME type is one of those, which may be `text/*` or `*` + `/*`. */
function accepts(accepted, mimeType) {
  const plain = (type) => type.split(";")[0].trim().toLowerCase();
  const kind = plain(mimeType);
  return accepted
    .map(plain)
    .some(
      (one) =>
        one === "*/*" || one === kind || (one.endsWith("/*") && kind.startsWith(one.slice(0, -1))),
    );
}

/** Return the MIME type of what is typed for a question; null if it takes no text. */
export function textType(accepted) {
  if (accepts(accepted, "text/plain")) return "text/plain";
  const named = accepted.find(
    (type) => type.startsWith("text/") || type.startsWith("application/json"),
  );
  return named ?? null;
}

/** Return the MIME type of a file for a question. Throws an Error if it isn't accepted. */
export function fileType(accepted, file) {
  if (file.type && accepts(accepted, file.type)) return file.type;
  if (!file.type && accepts(accepted, "application/octet-stream"))
    return "application/octet-stream";
  const exact = accepted.find((type) => !type.includes("*"));
  if (!file.type && exact !== undefined) return exact;
  throw new Error(
    `“${file.name}” is ${file.type || "of an unknown kind"}. This question takes ${accepted.join(", ")}.`,
  );
}
