// Keys and values in JSON: as text where they are UTF-8, else under the field's name with "_b64", as base64.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "messages/base64.hpp"
#include "messages/result.hpp"

namespace dkv {

/// Whether the text can stand in JSON as it is.
inline bool is_utf8(std::string_view text) {
  try {
    (void)nlohmann::json(text).dump();
    return true;
  } catch (const nlohmann::json::exception&) {
    return false;
  }
}

template <class Json>
void set_bytes(Json& json, const std::string& name, std::string_view bytes) {
  if (is_utf8(bytes)) {
    json[name] = bytes;
  } else {
    json[name + "_b64"] = to_base64(bytes);
  }
}

/// Takes the field, in either form, out of an object. Nothing when it has none. Errors: bad_request.
template <class Json>
Result<std::optional<std::string>> take_bytes(Json& json, const std::string& name) {
  const auto text = json.find(name);
  const auto encoded = json.find(name + "_b64");
  if (text != json.end() && encoded != json.end())
    return Error{Errc::bad_request, "'" + name + "' is given twice: as text and as base64"};
  if (text == json.end() && encoded == json.end()) return std::optional<std::string>();
  const auto field = text != json.end() ? text : encoded;
  if (!field->is_string()) return Error{Errc::bad_request, "'" + field.key() + "' must be a string"};
  auto bytes = std::optional(std::move(field->template get_ref<std::string&>()));
  if (field == encoded) bytes = from_base64(*bytes);
  if (!bytes) return Error{Errc::bad_request, "'" + field.key() + "' is no base64 with padding"};
  json.erase(field);
  return bytes;
}

}  // namespace dkv
