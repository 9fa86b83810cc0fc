#include "gateway/http/target.hpp"

#include <algorithm>

namespace dkv::http {

namespace {

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

bool stays_in_path(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
         c == '_' || c == '~' || c == '/';
}

/// The length of "http://host", or 0 when the target does not start so.
std::size_t authority_length(std::string_view raw) {
  for (std::string_view scheme : {"http://", "https://"}) {
    if (!raw.starts_with(scheme)) continue;
    const auto end = raw.find_first_of("/?#", scheme.size());
    return end == raw.npos ? raw.size() : end;
  }
  return 0;
}

std::string list(std::initializer_list<std::string_view> names) {
  if (names.size() == 0) return "none are";
  std::string text;
  for (const auto name : names) text += (text.empty() ? "" : ", ") + std::string(name);
  return text + (names.size() == 1 ? " is" : " are");
}

}  // namespace

Result<std::string> percent_decode(std::string_view encoded, bool plus_is_space) {
  std::string decoded;
  decoded.reserve(encoded.size());
  for (std::size_t i = 0; i < encoded.size(); ++i) {
    const char c = encoded[i];
    if (c == '+' && plus_is_space) {
      decoded += ' ';
    } else if (c != '%') {
      decoded += c;
    } else {
      const int high = i + 2 < encoded.size() ? hex_digit(encoded[i + 1]) : -1;
      const int low = i + 2 < encoded.size() ? hex_digit(encoded[i + 2]) : -1;
      if (high < 0 || low < 0) {
        return Error{
            Errc::bad_request,
            "bad percent-encoding: a '%' must be followed by two hex digits; send a percent sign as %25"};
      }
      decoded += static_cast<char>(high * 16 + low);
      i += 2;
    }
  }
  return decoded;
}

std::string percent_encode_path(std::string_view raw) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::string encoded;
  for (const char c : raw) {
    if (stays_in_path(c)) {
      encoded += c;
      continue;
    }
    const auto byte = static_cast<unsigned char>(c);
    encoded += '%';
    encoded += kDigits[byte >> 4];
    encoded += kDigits[byte & 15];
  }
  return encoded;
}

Result<Target> parse_target(std::string_view raw) {
  if (raw.find('#') != raw.npos) {
    return Error{Errc::bad_request, "the request target holds a '#': send it as %23"};
  }
  Target target;
  target.origin = raw.substr(authority_length(raw));
  if (target.origin.empty() && !raw.empty()) target.origin = "/";  // "http://host" means its root
  if (!target.origin.starts_with('/')) {
    return Error{Errc::bad_request, "the request target must be a path that starts with '/'"};
  }
  const auto question = target.origin.find('?');
  target.path = target.origin.substr(0, question);
  if (question != target.origin.npos) target.query = target.origin.substr(question + 1);
  return target;
}

Result<void> Parameters::add(std::string_view encoded, std::initializer_list<std::string_view> allowed) {
  while (!encoded.empty()) {
    const auto end = encoded.find('&');
    const auto piece = encoded.substr(0, end);
    encoded = end == encoded.npos ? std::string_view() : encoded.substr(end + 1);
    if (piece.empty()) continue;
    const auto equals = piece.find('=');
    auto name = percent_decode(piece.substr(0, equals), true);
    if (!name) return name.error();
    auto value = percent_decode(equals == piece.npos ? std::string_view() : piece.substr(equals + 1), true);
    if (!value) return value.error();
    if (std::find(allowed.begin(), allowed.end(), *name) == allowed.end()) {
      return Error{Errc::bad_request, "unknown parameter '" + name->substr(0, 40) + "': " + list(allowed) +
                                          " allowed here; send '&' inside a value as %26"};
    }
    if (find(*name)) return Error{Errc::bad_request, "the parameter '" + *name + "' is given twice"};
    all_.push_back({std::move(*name), std::move(*value)});
  }
  return {};
}

const std::string* Parameters::find(std::string_view name) const {
  for (const auto& parameter : all_) {
    if (parameter.name == name) return &parameter.value;
  }
  return nullptr;
}

}  // namespace dkv::http
