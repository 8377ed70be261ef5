#include <leat/namespace.h>
#include <leat/router.h>

int main() {
  leat::NamespaceTable names;
  const auto router = leat::Router::make(leat::RoutingConfig("default").with_rule("**::train", "gpu"), names);
  if (!router) return 1;
  const auto key = (*router)->resolve("public::ml::nightly::train", 0);
  return key && (*router)->key(*key) == "gpu" ? 0 : 1;
}
