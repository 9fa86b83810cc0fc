#include "topology/endpoint.hpp"

#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <charconv>

namespace dkv {

namespace {

constexpr std::size_t kMaxHostBytes = 253;
constexpr std::size_t kMaxLabelBytes = 63;

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_label_char(char c) { return is_digit(c) || (c >= 'a' && c <= 'z') || c == '-'; }

bool is_label(std::string_view label) {
  return !label.empty() && label.size() <= kMaxLabelBytes && label.front() != '-' && label.back() != '-' &&
         std::all_of(label.begin(), label.end(), is_label_char);
}

/// A last label of digits alone is a mistyped IPv4 address, not a name.
bool is_hostname(std::string_view text) {
  while (true) {
    const std::size_t dot = text.find('.');
    const std::string_view label = text.substr(0, dot);
    if (!is_label(label)) return false;
    if (dot == std::string_view::npos) return !std::all_of(label.begin(), label.end(), is_digit);
    text.remove_prefix(dot + 1);
  }
}

Error unreachable() {
  return Error{Errc::bad_request, "is not an address that other nodes can reach this one at"};
}

}  // namespace

Result<std::string> parse_host(std::string_view text) {
  std::string host(text);
  std::transform(host.begin(), host.end(), host.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  // An embedded NUL would hide what follows it from inet_pton, but is no part of a hostname either.
  if (host.size() <= kMaxHostBytes && host.find('\0') == std::string::npos) {
    in_addr v4{};
    if (inet_pton(AF_INET, host.c_str(), &v4) == 1) {
      const std::uint32_t address = ntohl(v4.s_addr);
      return address >> 24 == 0 || address >> 28 >= 0xe ? Result<std::string>(unreachable()) : host;
    }
    in6_addr v6{};
    if (inet_pton(AF_INET6, host.c_str(), &v6) == 1) {
      if (IN6_IS_ADDR_UNSPECIFIED(&v6) || IN6_IS_ADDR_MULTICAST(&v6)) return unreachable();
      std::array<char, INET6_ADDRSTRLEN> canonical{};
      inet_ntop(AF_INET6, &v6, canonical.data(), canonical.size());
      return std::string(canonical.data());
    }
    if (is_hostname(host)) return host;
  }
  return Error{Errc::bad_request, "is not an IPv4 or IPv6 address or a hostname"};
}

std::string to_string(const Endpoint& endpoint) {
  const bool v6 = endpoint.host.find(':') != std::string::npos;
  return (v6 ? "[" + endpoint.host + "]" : endpoint.host) + ":" + std::to_string(endpoint.port);
}

Result<Endpoint> parse_endpoint(std::string_view text) {
  const Error wrong{Errc::bad_request, "is not host:port"};
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return wrong;
  const std::string_view digits = text.substr(colon + 1);
  std::string_view host = text.substr(0, colon);
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);

  Endpoint endpoint{.host = std::string(host)};
  const auto [end, failure] = std::from_chars(digits.data(), digits.data() + digits.size(), endpoint.port);
  if (failure != std::errc{} || end != digits.data() + digits.size() || endpoint.port == 0) return wrong;
  // One spelling only: brackets around what is no IPv6, "080" or capitals do not come back the same.
  const Result<std::string> canonical = parse_host(host);
  if (!canonical || *canonical != host || to_string(endpoint) != text) return wrong;
  return endpoint;
}

}  // namespace dkv
