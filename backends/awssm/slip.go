package awssm

import (
	"regexp"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws/arn"
)

const (
	// wantName and wantARN end the errors of what is neither.
	wantName = "a name has letters, digits and /_+=.@- only, as in prod/packagecloud; the field of a JSON secret goes after #"
	wantARN  = "write arn:aws:secretsmanager:REGION:ACCOUNT:secret:NAME; the field of a JSON secret goes after #, a stage or version into ?stage= or ?version="
)

var (
	// isName and isAccount are AWS's rules:
	// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_CreateSecret.html
	// The part before ! is of a service of AWS, whose secret it is.
	isName    = regexp.MustCompile(`^([a-z-]+!)?[0-9A-Za-z/_+=.@-]{1,512}$`).MatchString
	isAccount = regexp.MustCompile(`^[0-9]{12}$`).MatchString
	isRegion  = regexp.MustCompile(`^[a-z]+(-[a-z0-9]+)+$`).MatchString
	isWord    = regexp.MustCompile(`^([A-Z][a-z]*|[a-z0-9]*|[A-Z0-9]*)$`).MatchString
	isUUID    = regexp.MustCompile(`(?i)^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`).MatchString
)

// nameFlaw says why no secret of AWS has this name or ARN. It doesn't repeat it.
func nameFlaw(secretID string) string {
	if secretID == "" {
		return "the secret has no name; give its name or ARN"
	}
	if !strings.HasPrefix(strings.ToLower(secretID), "arn:") {
		if !isName(secretID) {
			return "no secret of AWS has such a name; " + wantName
		}
		return ""
	}
	a, err := arn.Parse(secretID)
	switch {
	case err != nil:
		return "this is no whole ARN; " + wantARN
	case a.Service != "secretsmanager":
		return "this is the ARN of something else than a secret of Secrets Manager; " + wantARN
	case !isRegion(a.Region) || !isAccount(a.AccountID) || !strings.HasPrefix(a.Partition, "aws"):
		return "the ARN's partition, region or account can't be; " + wantARN
	}
	name, ok := strings.CutPrefix(a.Resource, "secret:")
	switch {
	case !ok:
		return "this is the ARN of something else than a secret; " + wantARN
	case strings.Contains(name, ":"):
		return "something follows the name in the ARN, which only ECS understands; " + wantARN
	case !isName(name):
		return "no secret of AWS has the name in this ARN; " + wantName
	}
	return ""
}

// regionFlaw says that an ARN is of another region than the one that is asked.
func regionFlaw(secretID, region string) string {
	a, err := arn.Parse(secretID)
	if err != nil || region == "" || a.Region == region {
		return ""
	}
	return "the ARN is of the region " + a.Region + ", and " + region + " is asked; leave the region out, or give the ARN of the secret's replica there"
}

// hasSuffix finds the six characters that AWS appends to the name in an ARN. One case
// alone, or a capital before small letters, may be a word, as in my-secret or My-Secret.
func hasSuffix(name string) bool {
	i := len(name) - 7
	if i < 1 || name[i] != '-' {
		return false
	}
	suffix := name[i+1:]
	return !strings.ContainsAny(suffix, "/_+=.@-") && !isWord(suffix)
}

// slip says what may be wrong with what was asked for, if AWS has no such secret,
// stage or version, so that a chain doesn't go on; "" if it may just not be there.
func (s *Source) slip() string {
	stage := s.options.Stage
	known := []string{StageCurrent, StagePrevious, StagePending}
	switch flaw := regionFlaw(s.secretID, s.region); {
	case flaw != "":
		return flaw
	case !arn.IsARN(s.secretID) && hasSuffix(s.secretID):
		return "the name ends in what AWS appends to it in an ARN; give the whole ARN, or the name without the hyphen and the six characters"
	case isUUID(stage):
		return "the stage looks like the id of a version; give it as the version"
	case strings.HasPrefix(strings.ToUpper(stage), "AWS") && !slices.Contains(known, stage):
		return "of the stages that begin with AWS there are " + strings.Join(known, ", ") + " only"
	}
	return ""
}
