package packagecloudtest

import (
	"fmt"
	"net/http"
	"path"
	"strings"
)

// listForMigration serves packages_with_bk_required_attributes. Its list helps
// to move a repository to another service.
func (s *Server) listForMigration(c *call) {
	uuid := c.r.URL.Query().Get("repository_uuid")
	s.mu.Lock()
	defer s.mu.Unlock()
	list := []any{}
	for _, p := range c.repo.packages {
		variant := p.Architecture
		if variant == "" {
			variant = strings.TrimPrefix(path.Ext(p.filename), ".")
		}
		var place any
		if p.place.id != 0 {
			place = p.place.id
		}
		stored := fmt.Sprintf("%s/packages/%d%s", p.Type, p.id, path.Ext(p.filename))
		list = append(list, map[string]any{"package": map[string]any{
			"id":                         p.id,
			"created_at":                 timestamp(p.createdAt),
			"updated_at":                 timestamp(p.createdAt),
			"deleted_at":                 nil,
			"deleted_by_id":              nil,
			"filename":                   p.filename,
			"family":                     p.Name,
			"release":                    p.fullVersion(),
			"variant":                    variant,
			"distro_version_id":          place,
			"metadata":                   map[string]any{},
			"weekly_downloads":           map[string]any{},
			"digest":                     p.blob.sha256,
			"bucket_name":                "packagecloudtest",
			"bucket_storage_path":        stored,
			"target_bucket_storage_path": path.Join(uuid, "blobs", p.blob.id, p.filename),
		}})
	}
	writeJSON(c.w, http.StatusOK, map[string]any{"packages": list})
}
