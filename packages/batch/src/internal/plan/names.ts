/**
 * What planned images are called: in the manifest, as images of another cloud, and as files.
 */
import type { Description } from "@headrace/glance/GlanceImages"

/** Ends as the names do that are made unique by an id. */
const endsInId = /(?:^|-)[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i

type Named = Pick<Description, "id" | "name">

/** What a line's id is made of. */
export const label = ({ name = "" }: Named): string => name.replaceAll("\0", "")

/**
 * A line's id: the name where no other has it, else the name and the image's id. A name that ends as these do is made
 * unique too, so that nobody's name is another one's.
 */
export const lineId = (image: Named, unique: boolean): string => {
  const name = label(image)
  if (name === "") return image.id
  return unique && !endsInId.test(name) ? name : `${name}-${image.id}`
}

/** An image needs a name where it goes to. */
export const imageName = ({ id, name = "" }: Named): string => (name === "" ? `image-${id}` : name)

/** With the id and a format behind it, shorter than the 255 bytes that file systems take. */
const longest = 150

const cut = (text: string): string => {
  let bytes = 0
  let out = ""
  for (const character of text) {
    bytes += Buffer.byteLength(character)
    if (bytes > longest) return out
    out += character
  }
  return out
}

/** What is no part of a file's name on some system, or is easily taken for something else. */
const unsafe = /[\p{Cc}\p{Bidi_Control}\p{Surrogate}\u2028\u2029/\\:*?"<>|]/gu

const stem = ({ name = "" }: Named): string => {
  const text = cut(
    name
      .normalize("NFC")
      .replace(unsafe, "_")
      .replace(/^[\s.-]+/, "")
  ).trimEnd()
  return text === "" ? "image" : text
}

const extension = ({ diskFormat }: Pick<Description, "diskFormat">): string =>
  (diskFormat ?? "img").replace(/[^A-Za-z0-9_-]/g, "_")

type File = Named & Pick<Description, "diskFormat">

/** Two files of which some system would make one are alike in it. */
export const fileKey = (image: File): string => `${stem(image)}.${extension(image)}`.toLowerCase().normalize("NFC")

/** The file that an image becomes. */
export const fileName = (image: File, unique: boolean): string => {
  const name = stem(image)
  return `${unique && !endsInId.test(name) ? name : `${name}-${image.id}`}.${extension(image)}`
}
