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

Error not_an_endpoint() { return Error{Errc::bad_request, "is not host:port"}; }

}  // namespace

Result<std::string> parse_address(std::string_view text) {
  const Error wrong{Errc::bad_request, "is not an IPv4 or IPv6 address"};
  // An embedded NUL would hide what follows it from inet_pton.
  if (text.find('\0') != std::string_view::npos) return wrong;
  const std::string address(text);
  in_addr v4{};
  if (inet_pton(AF_INET, address.c_str(), &v4) == 1) {
    const std::uint32_t number = ntohl(v4.s_addr);
    return number >> 24 == 0 || number >> 28 >= 0xe ? Result<std::string>(unreachable()) : address;
  }
  in6_addr v6{};
  if (inet_pton(AF_INET6, address.c_str(), &v6) != 1) return wrong;
  if (IN6_IS_ADDR_UNSPECIFIED(&v6) || IN6_IS_ADDR_MULTICAST(&v6)) return unreachable();
  std::array<char, INET6_ADDRSTRLEN> canonical{};
  inet_ntop(AF_INET6, &v6, canonical.data(), canonical.size());
  return std::string(canonical.data());
}

Result<std::string> parse_host(std::string_view text) {
  std::string host(text);
  std::transform(host.begin(), host.end(), host.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  // An IPv4 address is no hostname: its last label is of digits alone.
  if (host.size() <= kMaxHostBytes && is_hostname(host)) return host;
  return parse_address(host);
}

std::string to_string(const Endpoint& endpoint) {
  const bool v6 = endpoint.host.find(':') != std::string::npos;
  return (v6 ? "[" + endpoint.host + "]" : endpoint.host) + ":" + std::to_string(endpoint.port);
}

Result<Endpoint> parse_endpoint(std::string_view text) {
  Result<Endpoint> endpoint = read_endpoint(text);
  // One spelling only.
  if (endpoint && to_string(*endpoint) != text) return not_an_endpoint();
  return endpoint;
}

Result<Endpoint> read_endpoint(std::string_view text) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return not_an_endpoint();
  const std::string_view digits = text.substr(colon + 1);
  std::string_view host = text.substr(0, colon);
  const bool in_brackets = host.size() > 2 && host.front() == '[' && host.back() == ']';
  if (in_brackets) host = host.substr(1, host.size() - 2);
  // Brackets are for IPv6, which has colons of its own, and for nothing else.
  if (in_brackets != (host.find(':') != std::string_view::npos)) return not_an_endpoint();

  Endpoint endpoint;
  const auto [end, failure] = std::from_chars(digits.data(), digits.data() + digits.size(), endpoint.port);
  if (failure != std::errc{} || end != digits.data() + digits.size() || endpoint.port == 0)
    return not_an_endpoint();
  Result<std::string> canonical = parse_host(host);
  if (!canonical) return not_an_endpoint();
  endpoint.host = *std::move(canonical);
  return endpoint;
}

}  // namespace dkv
