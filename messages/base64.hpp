// Base64 (RFC 4648, section 4: with padding), for bytes that JSON cannot hold.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace dkv {

std::string to_base64(std::string_view bytes);
/// Nothing for what to_base64() would not have written.
std::optional<std::string> from_base64(std::string_view text);

}  // namespace dkv
