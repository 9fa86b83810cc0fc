// The C++ client behind lines of JSON, for run.py: a batch, as POST /v1/batch takes it, beside which there
// may be "once", a name, and "session", whether it is of this process's session; or {"scan": {...}}. A line
// of answer for each.
#include <cstdio>
#include <iostream>

#include "gateway/client/client.hpp"
#include "gateway/http/batch.hpp"
#include "gateway/http/scan.hpp"
#include "gateway/json_bytes.hpp"

namespace dkv {
namespace {

std::string error_line(const Error& error) {
  return nlohmann::json{{"error", {{"code", name_of(error.code)}, {"message", error.message}}}}.dump() + "\n";
}

std::string scan(Client& client, nlohmann::json& json) {
  ScanOptions options;
  for (const auto& [name, field] :
       {std::pair{"prefix", &options.prefix}, {"start", &options.start}, {"end", &options.end}}) {
    auto text = take_bytes(json, name);
    if (!text) return error_line(text.error());
    *field = text->value_or("");
  }
  options.reverse = json.value("reverse", false);
  options.limit = json.value("limit", options.limit);
  ScanResult all;
  do {
    auto page = client.scan(options);
    if (!page) return error_line(page.error());
    for (rpc::ScanItem& item : page->items) all.items.push_back(std::move(item));
    options.cursor = page->cursor;
  } while (!options.cursor.empty());
  return http::page_json(all, false);
}

std::string batch(Client& client, nlohmann::json& json, const std::shared_ptr<Session>& session) {
  const std::string once = json.value("once", "");
  const bool is_of_session = json.value("session", false);
  json.erase("once");
  json.erase("session");
  auto request = http::read_batch(json.dump());
  if (!request) return error_line(request.error());
  if (!once.empty()) http::set_once(*request, OnceId::of(once));
  const auto results = client.execute_request(*request, is_of_session ? session : nullptr);
  return http::batch_json(request->operations, results);
}

}  // namespace
}  // namespace dkv

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  dkv::Client client({.seeds = {argv[1]}});
  const auto session = std::make_shared<dkv::Session>();
  for (std::string line; std::getline(std::cin, line);) {
    auto json = nlohmann::json::parse(line, nullptr, false);
    const bool is_scan = json.is_object() && json.contains("scan");
    std::fputs((is_scan ? dkv::scan(client, json["scan"]) : dkv::batch(client, json, session)).c_str(),
               stdout);
    std::fflush(stdout);
  }
  return 0;
}
