// GET /v1/kv: which records are asked for, and the JSON of a page. README.md in this folder has the format.
#pragma once

#include <string>

#include "gateway/http/target.hpp"
#include "messages/scan.hpp"

namespace dkv::http {

/// From the query. Errors: bad_request.
Result<ScanOptions> read_scan(const Target& target);

/// {"items":[{"key":…,"value":…,"etag":…},…],"cursor":…}
std::string page_json(const ScanResult& page, bool keys_only);

}  // namespace dkv::http
